import { parentPort, workerData } from 'node:worker_threads';
import { search } from './fault-matrix.ts';

parentPort?.postMessage(await search(String(workerData)));
