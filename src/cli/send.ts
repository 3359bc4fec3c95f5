import { type Command, Option } from 'commander';
import { z } from 'zod';
import { systemClock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { idMaker } from '../base/id.ts';
import { systemRandom } from '../base/random.ts';
import { deliverOverGrpc } from './grpc-delivery.ts';
import { eventOfAlert, eventOfCloudEvent } from './hollowtrees-event.ts';
import { type ReadInput, readData, readInput } from './input.ts';
import type { Io } from './io.ts';
import {
  print,
  type RemoteOptions,
  type RemotePorts,
  remoteCommand,
  reporting,
  withClient,
} from './remote-command.ts';
import { deliveryOfAlerts, deliveryOfEvents, readAlerts, readEvents } from './sample.ts';

interface SendOptions extends RemoteOptions {
  readonly alert?: string;
  readonly event?: string;
  readonly grpc?: string;
}

/** What tests put in place of the network, the time and standard input. */
export interface SendPorts extends RemotePorts {
  readonly readInput?: ReadInput;
}

const RECEIPT = z.object({
  accepted: z.number(),
  /** Not told over gRPC. */
  duplicates: z.number().optional(),
  rejected: z.array(z.object({ index: z.number(), error: z.string() })),
});
type Receipt = z.output<typeof RECEIPT>;

/** `coppice send --alert F | --event F`: hands a sample to a daemon as its sender would. 1 when part of it was rejected. */
export function sendCommand(io: Io, ports: SendPorts = {}): Command {
  return remoteCommand('send', io)
    .description('sends a sample to a daemon')
    .addOption(new Option('--alert <file>', 'alerts, JSON or YAML; - for standard input').conflicts('event'))
    .option('--event <file>', 'CloudEvents, JSON or YAML; - for standard input')
    .option(
      '--grpc <address>',
      "over Hollowtrees' gRPC interface instead of HTTP: host:port, or grpcs://host:port for TLS",
    )
    .action((options: SendOptions) => {
      const { grpc } = options;
      return grpc === undefined ? overHttp(io, ports, options) : overGrpc(io, ports, { ...options, grpc });
    });
}

function overHttp(io: Io, ports: SendPorts, options: SendOptions): Promise<void> {
  return withClient(io, ports, options, async (client) => {
    const delivery = await sampleOf(options, ports, {
      alert: (written) => deliveryOfAlerts(readAlerts(written)),
      event: (written) => deliveryOfEvents(readEvents(written)),
    });
    tell(io, options, await client.post(delivery.path, delivery.body, delivery.contentType));
  });
}

function overGrpc(io: Io, ports: SendPorts, options: SendOptions & { readonly grpc: string }): Promise<void> {
  const { clock = systemClock } = ports;
  const newId = idMaker(clock, systemRandom);
  return reporting(io, async () => {
    const events = await sampleOf(options, ports, {
      alert: (written) =>
        readAlerts(written).alerts.map((alert) =>
          eventOfAlert(alert, { id: newId('evt'), now: clock.now() }),
        ),
      event: (written) => readEvents(written).map(eventOfCloudEvent),
    });
    const rejected = await deliverOverGrpc(io, options, events);
    tell(io, options, { accepted: events.length - rejected.length, rejected });
  });
}

/** Reads the file that is given and hands its value to the reader of its kind. */
async function sampleOf<T>(
  { alert, event }: SendOptions,
  { readInput: read = readInput }: SendPorts,
  readers: { readonly alert: (written: unknown) => T; readonly event: (written: unknown) => T },
): Promise<T> {
  if (alert !== undefined) return readers.alert(await readData(alert, read));
  if (event !== undefined) return readers.event(await readData(event, read));
  throw new Failure('invalid_request', 'reject', 'say what to send: --alert FILE or --event FILE');
}

function tell(io: Io, options: SendOptions, answer: unknown): void {
  print(io, options, answer, { schema: RECEIPT, draw });
  const receipt = RECEIPT.safeParse(answer);
  if (receipt.success && receipt.data.rejected.length > 0) io.exit(1);
}

function draw({ accepted, duplicates, rejected }: Receipt): string {
  const counts = [`${accepted} accepted`, ...(duplicates === undefined ? [] : [`${duplicates} duplicates`])];
  const reasons = rejected.map(({ index, error }) => `number ${index + 1}: ${error}\n`);
  return `${[...counts, `${rejected.length} rejected`].join(', ')}\n${reasons.join('')}`;
}
