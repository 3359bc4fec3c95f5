import { BlockList, isIPv6 } from 'node:net';
import { Failure } from '../base/failure.ts';

/** Where something listens, or is called. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const ADDRESS = /^(?:\[(?<six>[^\]]+)\]|(?<other>[^:[\]]+)):(?<port>\d{1,5})$/;
const LARGEST_PORT = 65_535;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Reads `host:port`, IPv6 in brackets. Fails with `invalid_request`. */
export function parseAddress(text: string): Address {
  const { six, other, port } = ADDRESS.exec(text)?.groups ?? {};
  const host = six ?? other;
  if (host === undefined || Number(port) > LARGEST_PORT) {
    const message = `${JSON.stringify(text)} is no address such as 127.0.0.1:8889 or [::1]:8889`;
    throw new Failure('invalid_request', 'reject', message);
  }
  return { host, port: Number(port) };
}

/** The address as it is written. */
export function addressText({ host, port }: Address): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** Whether only programs of the same machine can be meant. A name other than `localhost` could be anything. */
export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || LOOPBACK.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');
}
