import type { FastifyInstance } from 'fastify';
import { type Answer, ok, refused } from './answer.ts';
import type { ApiDeps } from './deps.ts';
import { get } from './http.ts';
import { NONE } from './parameters.ts';
import { presentGroupRest, presentPause, timeOf, timeOrNull } from './present.ts';

type HealthDeps = Omit<ApiDeps, 'cooldowns' | 'memory' | 'reload'>;

/** Whether the process lives, whether it may be sent traffic, what it is doing, and its metrics. */
export function registerHealth(scope: FastifyInstance, deps: HealthDeps): void {
  // Any query is allowed: probes and scrapers add parameters of their own.
  for (const path of ['/-/healthy', '/healthz'])
    get(scope, { path, access: 'public' }, ANY, () => ok({ healthy: true }));
  for (const path of ['/-/ready', '/readyz'])
    get(scope, { path, access: 'public' }, ANY, () => readiness(deps));
  get(scope, { path: '/metrics', access: 'read' }, ANY, () => metrics(deps));
  get(scope, { path: '/api/v1/status', access: 'read' }, NONE, () => status(deps));
}

const ANY = NONE.loose();

async function readiness(deps: HealthDeps): Promise<Answer> {
  const readiness = await deps.readiness();
  return readiness.ready
    ? ok(readiness)
    : refused('not_ready', readiness.because.join('; '), { ...readiness });
}

async function metrics({ metrics: { registry } }: HealthDeps): Promise<Answer> {
  return { status: 200, body: await registry.metrics(), headers: { 'content-type': registry.contentType } };
}

async function status(deps: HealthDeps): Promise<Answer> {
  const [readiness, inbox, pauses] = await Promise.all([
    deps.readiness(),
    deps.store.inboxState(),
    deps.pausing.pauses(),
  ]);
  const { generation, hash, loadedAt, rules, policies } = deps.ruleset.current();
  const { source, problems } = deps.rulesState();
  const fleet = deps.fleet.current();
  const { version, startedAt, cloud, ownInstance, shadow } = deps.about;
  return ok({
    version,
    startedAt: timeOf(startedAt),
    now: timeOf(deps.clock.now()),
    cloud,
    ownInstance,
    shadow,
    ...readiness,
    ruleset: {
      ...{ generation, hash, loadedAt: timeOf(loadedAt), rules: rules.length, policies: policies.length },
      source,
      errors: problems.filter(({ severity }) => severity === 'error').length,
    },
    fleet: {
      readAt: timeOrNull(fleet?.readAt ?? null),
      groups: fleet?.groups.size ?? 0,
      instances: fleet?.instances.size ?? 0,
    },
    inbox: { depth: inbox.depth, oldestReceivedAt: timeOrNull(inbox.oldestReceivedAt) },
    runsInFlight: deps.liveRunCount(),
    pauses: pauses.map(presentPause),
    rests: deps.rests(deps.clock.now()).map(presentGroupRest),
  });
}
