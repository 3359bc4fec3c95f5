import type { ActionKind } from '../engine/rule.ts';
import type { Action } from './action.ts';
import { swap } from './asg/swap.ts';

/** Every action that a rule can name: a kind without its row does not compile. */
export const ACTIONS: Readonly<Record<ActionKind, Action>> = { swap };
