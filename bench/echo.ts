import process from 'node:process';
import { fastify } from 'fastify';

const server = fastify();
server.get('/ready', () => 'ok');
server.post('*', (request, reply) => reply.send(request.body));
await server.listen({ host: '127.0.0.1', port: Number(process.argv[2]) });
process.once('SIGTERM', () => process.exit(0));
