import type { ActionKind } from '../engine/rule.ts';
import type { Action } from './action.ts';
import { detach, terminate } from './asg/removal.ts';
import { swap } from './asg/swap.ts';
import { http } from './http/http.ts';
import { plugin } from './plugin/plugin.ts';

/** Every action that a rule can name: a kind without its row does not compile. */
export const ACTIONS: Readonly<Record<ActionKind, Action>> = {
  swap,
  detach,
  terminate,
  http,
  plugin,
};
