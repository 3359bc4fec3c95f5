import type { Reading, Section, Value } from './reading.ts';

/** The version of Hollowtrees that a configuration is for; also that of the gRPC interface of its plugins. */
export type Version = 'v1' | 'v2';

/**
 * A program that Hollowtrees called.
 * - `asg`: its AWS ASG action plugin, whose place Coppice takes
 * - `demo`: v2's built-in plugin, which only logs
 * - `grpc`: any other one
 * - `fn`: v1's call of a serverless function over HTTP
 */
export interface Plugin {
  readonly name: string;
  readonly kind: 'asg' | 'demo' | 'grpc' | 'fn';
  /** Empty where it has none. */
  readonly address: string;
  readonly protocol: Version;
}

/** Which plugins are the AWS ASG plugin. */
export interface PluginOptions {
  /** Their names; empty when they are to be guessed by name and address. */
  readonly asgPlugins: readonly string[];
}

/** The name of v2's plugin that is always there. */
const DEMO_PLUGIN: Plugin = { name: 'internal-demo', kind: 'demo', address: '', protocol: 'v2' };
/** `ht-aws-asg-action-plugin` as the original's samples, charts and container images call it, and what is made of that. */
const LOOKS_LIKE_ASG = /aws-asg|asg-action/i;

const KEYS: Readonly<Record<Version, readonly string[]>> = {
  v1: ['name', 'address', 'type', 'properties'],
  v2: ['name', 'address', 'type'],
};

/**
 * The plugins of a configuration by name. Of two with one name v2 called the last, and v1 both: there a name stands for the
 * ASG plugin only when both are.
 */
export function readPlugins(
  reading: Reading,
  list: Value | undefined,
  { version, asgPlugins }: PluginOptions & { readonly version: Version },
): ReadonlyMap<string, Plugin> {
  const plugins = new Map<string, Plugin>();
  for (const item of list === undefined ? [] : reading.items(list)) {
    const section = reading.section(item, KEYS[version]) ?? new Map<string, Value>();
    const read = readPlugin(reading, section, version);
    if (read === null) continue;
    const plugin = judged(reading, { item, section, plugin: read, asgPlugins });
    const known = plugins.get(plugin.name);
    if (known !== undefined)
      reading.say(item, 'changed', `the name '${plugin.name}' is given twice; ${GIVEN_TWICE[version]}`);
    if (known === undefined || known.kind === 'asg' || version === 'v2') plugins.set(plugin.name, plugin);
  }
  if (version === 'v2') plugins.set(DEMO_PLUGIN.name, DEMO_PLUGIN);
  return plugins;
}

const GIVEN_TWICE: Readonly<Record<Version, string>> = {
  v1: 'v1 called both, and flows that name them are left out unless both are the ASG plugin',
  v2: 'the last one counts',
};

function readPlugin(reading: Reading, section: Section, version: Version): Plugin | null {
  const type = reading.textOf(section, 'type');
  const kind = kindOf(type, version);
  const verdict =
    kind === null ? `there is no type '${type}'; Hollowtrees would not have started with it` : FN;
  if (kind === 'grpc') reading.say(section.get('type'), 'carried', 'gRPC is how Coppice speaks to plugins');
  else reading.say(section.get('type'), 'not carried', verdict);
  if (kind === 'fn') reading.say(section.get('properties'), 'not carried', 'they name the function');
  else reading.say(section.get('properties'), 'not needed', 'only plugins of type fn have properties');
  if (kind === null) return null;
  const [name, address] = [reading.textOf(section, 'name'), reading.textOf(section, 'address')];
  return { name, kind, address, protocol: version };
}

/** Before v1 had types all plugins were called over gRPC. */
function kindOf(type: string, version: Version): 'grpc' | 'fn' | null {
  if (type === '' || type === 'grpc') return 'grpc';
  return type === 'fn' && version === 'v1' ? 'fn' : null;
}

const FN =
  'Coppice calls no serverless functions of Fn; the action http posts to any address, but its body is the event and not the labels alone';

/** Says what becomes of the plugin, and whether it is the one that Coppice replaces. */
function judged(
  reading: Reading,
  given: PluginOptions & { readonly item: Value; readonly section: Section; readonly plugin: Plugin },
): Plugin {
  const { item, section, plugin, asgPlugins } = given;
  const { name, address } = plugin;
  const isNamed = asgPlugins.includes(name);
  const isGuessed = asgPlugins.length === 0 && [name, address].some((text) => LOOKS_LIKE_ASG.test(text));
  if (plugin.kind === 'fn' || !(isNamed || isGuessed)) {
    reading.say(item, 'not carried', notReplaced(plugin));
    return plugin;
  }
  const why = isNamed
    ? 'as --asg-plugin says'
    : 'by its name or address; if that is wrong, name the right one with --asg-plugin';
  const message = `'${name}' is taken for Hollowtrees' AWS ASG plugin, ${why}; Coppice does its swaps itself`;
  reading.say(item, isNamed ? 'carried' : 'changed', message);
  reading.say(section.get('name'), 'carried', 'where a flow names it, its rule swaps');
  reading.say(section.get('address'), 'not needed', 'nothing is called there any more');
  return { ...plugin, kind: 'asg' };
}

function notReplaced({ name, kind }: Plugin): string {
  return kind === 'fn'
    ? `'${name}' is a serverless function; flows that call it are left out`
    : `'${name}' is not called: this version of Coppice has no action 'plugin'; flows that call it are left out, and the plugin stands in coppice.yaml as a comment`;
}
