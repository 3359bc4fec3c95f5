/**
 * Why something was not done: one closed set, counted in metrics, part of the API, documented in docs/reasons.md.
 * The first half is the decision's, the second half the swap's own.
 */
export const REFUSAL_REASONS = {
  policy_paused: 'a policy or a person has paused the group',
  policy_floor: 'the swap would take the group below its on-demand floor',
  policy_market_share: 'every market left over would hold more of the group than the policy allows',
  policy_cooldown: 'the group was swapped a short while ago',
  policy_budget: 'the budget of voluntary swaps is used up',
  policy_freeze: 'a freeze window is open',
  policy_min_healthy: 'too few instances of the group are in service',
  policy_min_age: 'the instance is too young for a voluntary swap',
  group_not_managed: 'no policy selects the group',
  rule_disabled: 'the rule is switched off',
  rule_cooldown: 'the rule acted on the same key a short while ago',
  rule_limit: 'the rule has reached its own limit',
  rule_delay: 'the rule looks again after its delay, before it acts',
  alert_resolved: 'the alert did not stay as it was while the rule waited: it has resolved, or fires anew',
  duplicate: 'a run for the same instance is under way already',
  subject_unresolved: 'no group or instance could be found for the event',
  no_candidate: 'no market is left that may take the replacement',
  instance_not_in_group: 'the instance is not a member of the group',
  instance_not_in_service: 'the instance is not InService',
  instance_protected: 'the instance is protected from scale-in',
  already_replaced: 'the instance has been replaced already',
  group_deleting: 'the group is being deleted',
  group_operated_elsewhere: 'another AWS service operates the group',
  launch_suspended: 'the process Launch is suspended, so nothing can be attached',
  instance_refresh_active: 'an instance refresh is under way',
  warm_pool: 'the group has a warm pool',
  weighted_capacity: 'the group counts capacity in other units than instances',
  launching_hook: 'the group has a launching lifecycle hook, which an attached instance would never run',
  mixed_instances_mismatch:
    'the result would not fit the mixed instances policy, and the group would undo it',
  no_headroom: 'desired equals maximum and the policy does not allow to raise it',
  at_minimum: 'desired equals minimum, so nothing may be taken out without a replacement',
  own_instance: 'Coppice itself runs on the instance',
  group_on_hold: 'swaps of the group failed in a row; it rests for a while, or until a person resumes it',
} as const;

export type RefusalReason = keyof typeof REFUSAL_REASONS;

/** Why a rule that was looked at did not match. */
export const NOT_MATCHED_REASONS = {
  no_rule: 'no rule listens to events of this type',
  matcher: 'a label matcher of the trigger does not hold',
  status: 'the trigger asks for another status',
  repeat: 'the trigger ignores repeated notifications',
  condition_false: 'a condition is false',
  condition_unknown: 'a condition is unknown because a fact is missing',
} as const;

export type NotMatchedReason = keyof typeof NOT_MATCHED_REASONS;

/** Reasons of the outcomes that act or fail. */
export const OTHER_REASONS = {
  matched: 'everything holds: a run was started',
  shadow_mode: 'everything holds, but the rule, or the daemon, only watches',
  rule_error: 'evaluating the rule failed; the detail has the message',
} as const;

export type Reason = RefusalReason | NotMatchedReason | keyof typeof OTHER_REASONS;
