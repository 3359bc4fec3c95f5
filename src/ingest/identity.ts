import { type Identity, type Labels, tupleKey } from '../engine/event.ts';

/**
 * By what an event is recognised: the parts, and the cluster that it is of where its labels tell one. So what the sender of one
 * cluster hands in is never taken for an event of another, whatever id or fingerprint it claims.
 */
export function identityOf(kind: Identity['kind'], parts: readonly string[], labels: Labels): Identity {
  const { org_id: org, cluster_id: cluster } = labels;
  const place = org === undefined && cluster === undefined ? [] : [org ?? '', cluster ?? ''];
  return { kind, key: tupleKey([...parts, ...place]) };
}
