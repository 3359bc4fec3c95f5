/** On an instance that Coppice launched: the run that did. The janitor's only clue when the store is lost. */
export const RUN_TAG = 'coppice:run';
/** On an instance that Coppice launched: key of the group that it is for. */
export const GROUP_TAG = 'coppice:group';
/** On an instance that Coppice launched: id of the instance that it replaces. */
export const REPLACES_TAG = 'coppice:replaces';
/** On an instance that Coppice launched: lets an IAM policy tell Coppice's instances from others. */
export const MANAGED_BY_TAG = 'managed-by';
/**
 * On an instance that Coppice launched, and that a later swap took out of its group to leave it running: id of that later
 * run. The janitor spares it.
 */
export const RELEASED_TAG = 'coppice:released';
/** On a member of a group, written and taken off by AWS alone: name of the group. */
export const AWS_GROUP_TAG = 'aws:autoscaling:groupName';
/** On a group, for the time of a swap: what has to be given back (JSON; see hold-mark.ts). */
export const HOLD_TAG = 'coppice:hold';
