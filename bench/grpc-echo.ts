import { createServer } from 'node:http';
import process from 'node:process';
import { type handleUnaryCall, Server, ServerCredentials } from '@grpc/grpc-js';
import { EVENT_HANDLER, loadDefinitions, serviceOf } from '../src/grpc/definitions.ts';

/** A bare grpc-js server that reads each event and answers as the daemon does; over HTTP it tells that it is there. */
const [httpPort, grpcPort] = process.argv.slice(2).map(Number);
const handle: handleUnaryCall<object, object> = (_call, callback) => callback(null, { status: 'ok' });
const server = new Server();
server.addService(serviceOf(await loadDefinitions(), EVENT_HANDLER), { Handle: handle });
server.bindAsync(`127.0.0.1:${grpcPort}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  createServer((_request, response) => response.end('ok')).listen(httpPort, '127.0.0.1');
});
process.once('SIGTERM', () => process.exit(0));
