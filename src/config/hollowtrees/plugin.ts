import { plugins } from '../plugin-settings.ts';
import type { Reading, Section, Value } from './reading.ts';

/** The version of Hollowtrees that a configuration is for; also that of the gRPC interface of its plugins. */
export type Version = 'v1' | 'v2';

/**
 * A program that Hollowtrees called.
 * - `asg`: its AWS ASG action plugin, whose place Coppice takes
 * - `demo`: v2's built-in plugin, which only logs
 * - `grpc`: any other one
 * - `fn`: v1's call of a serverless function over HTTP
 * - `lost`: one over gRPC that cannot be called, by its address or because its name stands for another as well
 */
export interface Plugin {
  readonly name: string;
  readonly kind: 'asg' | 'demo' | 'grpc' | 'fn' | 'lost';
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
 * ASG plugin only when both are, and for no other.
 */
export function readPlugins(
  reading: Reading,
  list: Value | undefined,
  { version, asgPlugins }: PluginOptions & { readonly version: Version },
): ReadonlyMap<string, Plugin> {
  const found = new Map<string, Plugin>();
  for (const item of list === undefined ? [] : reading.items(list)) {
    const section = reading.section(item, KEYS[version]) ?? new Map<string, Value>();
    const read = readPlugin(reading, section, version);
    if (read === null) continue;
    const plugin = judged(reading, { item, section, plugin: read, asgPlugins });
    const known = found.get(plugin.name);
    if (known !== undefined)
      reading.say(item, 'changed', `the name '${plugin.name}' is given twice; ${GIVEN_TWICE[version]}`);
    found.set(plugin.name, unlessShared(plugin, known, version));
  }
  if (version === 'v2') found.set(DEMO_PLUGIN.name, DEMO_PLUGIN);
  return found;
}

/** A name of v1 that stands for two plugins stands for none that could be called alone. */
function unlessShared(plugin: Plugin, known: Plugin | undefined, version: Version): Plugin {
  const isSame = known === undefined || version === 'v2' || (known.kind === 'asg' && plugin.kind === 'asg');
  return isSame ? plugin : { ...plugin, kind: 'lost' };
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
  if (plugin.kind === 'fn') {
    reading.say(item, 'not carried', `'${name}' is a serverless function; flows that call it are left out`);
    return plugin;
  }
  if (!(isNamed || isGuessed)) return kept(reading, given);
  const why = isNamed
    ? 'as --asg-plugin says'
    : 'by its name or address; if that is wrong, name the right one with --asg-plugin';
  const message = `'${name}' is taken for Hollowtrees' AWS ASG plugin, ${why}; Coppice does its swaps itself`;
  reading.say(item, isNamed ? 'carried' : 'changed', message);
  reading.say(section.get('name'), 'carried', 'where a flow names it, its rule swaps');
  reading.say(section.get('address'), 'not needed', 'nothing is called there any more');
  return { ...plugin, kind: 'asg' };
}

/** Says that the plugin is called as it was, where it can be. */
function kept(
  reading: Reading,
  { item, section, plugin }: { readonly item: Value; readonly section: Section; readonly plugin: Plugin },
): Plugin {
  const { name, address } = plugin;
  if (plugins.parse([settingOf(plugin)]) === null) {
    const message = `'${name}' cannot be called: it needs a name, and an address of the form host:port; flows that call it are left out`;
    reading.say(item, 'not carried', message);
    return { ...plugin, kind: 'lost' };
  }
  reading.say(item, 'carried', `'${name}' is one of the setting plugins, and called by the action plugin`);
  reading.say(section.get('name'), 'carried', 'rules call it by this name');
  reading.say(section.get('address'), 'carried', `${address} is called in plain text, as Hollowtrees did`);
  return plugin;
}

/** The plugin as an entry of the setting `plugins`. */
export function settingOf({ name, address, protocol }: Plugin): Readonly<Record<string, string>> {
  return { name, address, protocol };
}
