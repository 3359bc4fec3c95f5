/** On an instance that Coppice launched: the run that did. The janitor's only clue when the store is lost. */
export const RUN_TAG = 'coppice:run';
/** On an instance that Coppice launched: key of the group that it is for. */
export const GROUP_TAG = 'coppice:group';
/** On an instance that Coppice launched: id of the instance that it replaces. */
export const REPLACES_TAG = 'coppice:replaces';
/** On an instance that Coppice launched: lets an IAM policy tell Coppice's instances from others. */
export const MANAGED_BY_TAG = 'managed-by';
/** On a group, for the time of a swap: what has to be given back (JSON; see hold.ts). */
export const HOLD_TAG = 'coppice:hold';
