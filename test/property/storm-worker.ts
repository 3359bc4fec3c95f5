import { parentPort, workerData } from 'node:worker_threads';
import { lookFor, type Search } from './storm.ts';

parentPort?.postMessage(await lookFor(workerData as Search));
