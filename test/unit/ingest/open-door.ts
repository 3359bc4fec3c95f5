import { OPEN_GATE } from '../../../src/access/gate.ts';

/** What a server is given that lets everybody in, without TLS. */
export const openDoor = { gate: OPEN_GATE, tls: null, allows: () => true, connections: 10_000 } as const;
