import { ALERT_TYPE_PREFIX } from '../../engine/event.ts';

/** The swap that takes the place of what the AWS ASG plugin did, as parameters of the action `swap`. */
export type PluginSwap = Readonly<Record<string, string | boolean>>;

const TERMINATION = `${ALERT_TYPE_PREFIX}SpotTerminationNotice`;

/** What the plugin did with which event. To every other one it answered "ok", and did nothing. */
export const ASG_PLUGIN_SWAPS: Readonly<Record<string, PluginSwap>> = {
  [TERMINATION]: { to: 'auto', terminate: false, urgent: true },
  [`${ALERT_TYPE_PREFIX}SpotInstanceTooExpensive`]: { to: 'auto', terminate: true },
};

/** Whether the instance of the event is about to go away, so that what is refused once comes too late. */
export function isUrgentType(type: string): boolean {
  return type === TERMINATION;
}
