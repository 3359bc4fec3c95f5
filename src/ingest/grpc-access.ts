import {
  type Metadata,
  type Server,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import type { Gate, PeerCertificate, Principal, Verdict } from '../access/gate.ts';
import type { AccessRule } from '../access/scope.ts';
import type { Timer } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import type { Connections } from './connections.ts';
import { createDenials, type DenialReason, type Denials, type DenialsDeps } from './denials.ts';
import type { Ends } from './grpc-listener.ts';

/** Who may call which method, by its full path. */
const RULES: Readonly<Record<string, AccessRule>> = {
  '/action.Action/HandleAlert': 'ingest',
  '/proto.EventHandler/Handle': 'ingest',
  '/grpc.health.v1.Health/Check': 'public',
  '/grpc.health.v1.Health/List': 'public',
  '/grpc.health.v1.Health/Watch': 'public',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo': 'read',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo': 'read',
};

/** Time for the message of a call to arrive, as for a request over HTTP. */
const MESSAGE_MS = 30_000;
/** How often it is looked which messages take too long: they may take so much longer. */
const CHECK_MS = 2_000;

/** The connections that calls come over. */
export interface CallConnections extends Connections {
  /** The client's certificate on a connection; null unless TLS has verified one. */
  certificateOf(connection: Ends): PeerCertificate | null;
  /** Ends a connection at once, with all calls on it. */
  cut(connection: Ends): void;
}

export interface GrpcAccessDeps extends DenialsDeps {
  readonly gate: Gate;
  /** Whether a client, by its address, may make one more call now. */
  allows(client: string): boolean;
  readonly connections: CallConnections;
}

/** Lets calls in, or turns them away. */
export interface GrpcAccess {
  /** For the options of the server. */
  readonly interceptor: ServerInterceptor;
  /**
   * Ends the calls that stay open for as long as their callers like, with UNAVAILABLE. Messages on their way are left to the end
   * of the server.
   */
  retire(details: string): void;
}

/** An rpc that is served, and who may call it. */
export type ServedRpc = ServiceDefinition[string] & { readonly access: AccessRule };

/** The server, such that each rpc that is added to it is noted with its rule; throws Failure `internal` for one that has none. */
export function guarded(server: Server, served: ServedRpc[]): Pick<Server, 'addService'> {
  return {
    addService(service, implementation) {
      for (const method of Object.values(service)) served.push({ ...method, access: ruleOf(method.path) });
      server.addService(service, implementation);
    },
  };
}

function ruleOf(path: string): AccessRule {
  const rule = RULES[path];
  if (rule === undefined) throw new Failure('internal', 'reject', `the rpc ${path} has no access rule`);
  return rule;
}

const principals = new WeakMap<Metadata, Principal>();

/** Who has been let in with a call. Fails with `internal` where nobody has been asked. */
export function callerOf({ metadata }: { readonly metadata: Metadata }): Principal {
  const principal = principals.get(metadata);
  if (principal === undefined) throw new Failure('internal', 'reject', 'an rpc has not been guarded');
  return principal;
}

/**
 * Turns calls away before their messages are read: by rate first, then by the rule of the method. What a client has sent of a
 * message by then is thrown away.
 */
export function createGrpcAccess(deps: GrpcAccessDeps): GrpcAccess {
  const guard: Guard = {
    ...deps,
    denials: createDenials('grpc', deps),
    streams: new Set(),
    arriving: createArriving(deps),
  };
  return {
    interceptor: (method, call) => new GuardedCall(call, guard, method),
    retire(details) {
      guard.arriving.stop();
      for (const call of guard.streams) call.sendStatus({ code: status.UNAVAILABLE, details });
    },
  };
}

interface Guard extends GrpcAccessDeps {
  readonly denials: Denials;
  /** Calls whose callers may go on asking. */
  readonly streams: Set<ServerInterceptingCallInterface>;
  readonly arriving: Arriving;
}

/** Calls that have been let in, and whose message has not arrived. */
interface Arriving {
  add(call: ServerInterceptingCallInterface, connection: Ends): void;
  delete(call: ServerInterceptingCallInterface): void;
  /** Looks no more. */
  stop(): void;
}

/**
 * Ends those that take too long, and then their connections: what has come of a message stays in memory for as long as its
 * stream, which the library leaves to the client.
 */
function createArriving({ clock, connections }: GrpcAccessDeps): Arriving {
  /** By when they were let in, the first of them first. */
  const since = new Map<
    ServerInterceptingCallInterface,
    { readonly at: number; readonly connection: Ends }
  >();
  let leaving: Ends[] = [];
  let timer: Timer | null = null;
  let isStopped = false;
  const checkLater = (): void => {
    if (!isStopped) timer ??= clock.after(CHECK_MS, check);
  };
  const check = (): void => {
    timer = null;
    for (const connection of leaving) connections.cut(connection);
    leaving = [];
    const late = clock.now() - MESSAGE_MS;
    for (const [call, { at, connection }] of since) {
      if (at > late) break;
      since.delete(call);
      call.sendStatus({ code: status.DEADLINE_EXCEEDED, details: 'the message did not arrive in time' });
      leaving.push(connection);
    }
    if (since.size + leaving.length > 0) checkLater();
  };
  return {
    add(call, connection) {
      since.set(call, { at: clock.now(), connection });
      checkLater();
    },
    stop() {
      isStopped = true;
      timer?.cancel();
    },
    delete: (call) => since.delete(call),
  };
}

type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];

/** A call that goes on only when its caller has been let in. */
class GuardedCall extends ServerInterceptingCall {
  readonly #call: ServerInterceptingCallInterface;
  readonly #guard: Guard;
  readonly #rule: AccessRule;
  readonly #isStream: boolean;
  /** Whether there may be several answers. */
  readonly #hasMany: boolean;
  #isOver = false;
  /** Ends the request on its connection; null before there is one, and after. */
  #end: (() => void) | null = null;

  constructor(
    call: ServerInterceptingCallInterface,
    guard: Guard,
    method: { readonly path: string; readonly requestStream: boolean; readonly responseStream: boolean },
  ) {
    super(call);
    this.#call = call;
    this.#guard = guard;
    this.#rule = ruleOf(method.path);
    this.#isStream = method.requestStream;
    this.#hasMany = method.responseStream;
  }

  override start(listener: Listener): void {
    const { connections, streams, arriving } = this.#guard;
    const connection = endsOf(this.#call);
    this.#call.start({
      onReceiveMetadata: (metadata) => this.#judge(metadata, connection, listener),
      onReceiveMessage: (message) => {
        // Not before: who only announces messages is of no use to anybody.
        if (!this.#isOver) this.#end ??= connections.begin(connection);
        arriving.delete(this.#call);
        listener.onReceiveMessage(message);
      },
      onReceiveHalfClose: () => listener.onReceiveHalfClose(),
      // Comes once, whichever way the call ends.
      onCancel: () => {
        this.#isOver = true;
        this.#answered();
        streams.delete(this.#call);
        arriving.delete(this.#call);
        listener.onCancel();
      },
    });
  }

  #judge(metadata: Metadata, connection: Ends, listener: Listener): void {
    const { gate, allows, connections } = this.#guard;
    const client = connection.remoteAddress ?? '';
    if (!allows(client)) {
      this.#deny(client, 'rate_limited', 'too many calls from this address');
      return;
    }
    const [shown] = metadata.get('authorization');
    const authorization = typeof shown === 'string' ? shown : null;
    const verdict = gate.admit(this.#rule, {
      authorization,
      certificate: connections.certificateOf(connection),
    });
    const settle = (settled: Verdict): void => {
      if (settled.kind === 'denied') this.#deny(client, settled.denial, settled.message);
      else if (!this.#isOver) {
        this.#awaitMessages(connection);
        principals.set(metadata, settled.principal);
        listener.onReceiveMetadata(metadata);
      }
    };
    if (verdict instanceof Promise) void verdict.then(settle);
    else settle(verdict);
  }

  #awaitMessages(connection: Ends): void {
    const { streams, arriving } = this.#guard;
    if (this.#isStream) streams.add(this.#call);
    else arriving.add(this.#call, connection);
  }

  #deny(client: string, reason: DenialReason, details: string): void {
    this.#guard.denials.note(client, reason);
    this.#call.sendStatus({ code: STATUS[reason], details });
  }

  // The library's own would look for what an interceptor wants to do with each part of the answer: nothing.
  override sendMetadata(metadata: Metadata): void {
    this.#call.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, sent: () => void): void {
    this.#call.sendMessage(message, sent);
    // The library sends the status only when the message has gone.
    if (!this.#hasMany) this.#answered();
  }

  override sendStatus(ended: Parameters<ServerInterceptingCallInterface['sendStatus']>[0]): void {
    this.#call.sendStatus(ended);
    this.#answered();
  }

  /** Not only when the answer is sent: who does not let it in (by a window of 0) must not keep others out. */
  #answered(): void {
    this.#end?.();
    this.#end = null;
  }
}

function endsOf(call: ServerInterceptingCallInterface): Ends {
  const { remoteAddress = '', remotePort = 0, localAddress } = call.getConnectionInfo();
  return { remoteAddress, remotePort, localAddress };
}

const STATUS = {
  missing: status.UNAUTHENTICATED,
  wrong: status.UNAUTHENTICATED,
  expired: status.UNAUTHENTICATED,
  out_of_scope: status.PERMISSION_DENIED,
  busy: status.UNAVAILABLE,
  rate_limited: status.UNAVAILABLE,
} as const satisfies Record<DenialReason, status>;
