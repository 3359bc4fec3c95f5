import { load, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader';

/** What is read of `google.protobuf.DescriptorProto`. */
interface DescriptorProto {
  readonly name: string;
  readonly field?: readonly FieldProto[];
  readonly nestedType?: readonly DescriptorProto[];
  readonly options?: { readonly mapEntry?: boolean };
}
/** Only a field of a message or an enum names its type. */
type FieldProto = { readonly typeName: string } | Readonly<Record<never, never>>;
interface FileProto {
  readonly messageType?: readonly DescriptorProto[];
}

/**
 * The definitions with descriptors that every implementation of protobuf accepts, for reflection. protobufjs calls the entry
 * of a map `Data` where protoc calls it `DataEntry`; the libraries of C++, Python and Go refuse the file for that, and
 * clients such as grpcurl are built on them.
 */
export async function withValidDescriptors(definitions: PackageDefinition): Promise<PackageDefinition> {
  const { 'google.protobuf.FileDescriptorProto': file } = await load('google/protobuf/descriptor.proto');
  const { deserialize, serialize } = file as MessageTypeDefinition<FileProto, FileProto>;
  const mended = (bytes: Buffer): Buffer => {
    const { messageType = [], ...rest } = deserialize(bytes);
    return serialize({ ...rest, messageType: messageType.map(withMapEntries) });
  };
  const entries = Object.entries(definitions).map(([name, definition]) => {
    if (!isDescribed(definition)) return [name, definition];
    return [name, { ...definition, fileDescriptorProtos: definition.fileDescriptorProtos.map(mended) }];
  });
  return Object.fromEntries(entries) as PackageDefinition;
}

function isDescribed(definition: object): definition is { readonly fileDescriptorProtos: readonly Buffer[] } {
  return 'fileDescriptorProtos' in definition && Array.isArray(definition.fileDescriptorProtos);
}

function withMapEntries(message: DescriptorProto): DescriptorProto {
  const { field = [], nestedType = [] } = message;
  const maps = new Set(
    nestedType.filter(({ options }) => options?.mapEntry === true).map(({ name }) => name),
  );
  const renamed = (name: string): string => (maps.has(name) ? `${name}Entry` : name);
  return {
    ...message,
    field: field.map((one) => ('typeName' in one ? { ...one, typeName: renamed(one.typeName) } : one)),
    nestedType: nestedType.map((nested) => ({ ...withMapEntries(nested), name: renamed(nested.name) })),
  };
}
