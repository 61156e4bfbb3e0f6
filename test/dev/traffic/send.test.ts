/** Tests of the sender's bounds; what it sends is tested through `dev/traffic.ts`. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Emitter } from '../../../dev/traffic/emit.ts';
import { spanExporter } from '../../../dev/traffic/exporter.ts';
import { Random } from '../../../dev/traffic/random.ts';
import { Sender } from '../../../dev/traffic/send.ts';
import { journeys } from '../../../dev/traffic/shop.ts';
import { planRequest } from '../../../dev/traffic/trace.ts';
import { trafficInFlightMax } from '../../../schemas/limits/dev.ts';

describe('Sender', () => {
  it('never has more requests under way than its bound, and repeats the share it was given', async () => {
    let [open, most, requests] = [0, 0, 0];
    const server = createServer((incoming, answer) => {
      incoming.resume().on('end', () => {
        open += 1;
        most = Math.max(most, open);
        requests += 1;
        setTimeout(() => {
          open -= 1;
          answer.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
        }, 20);
      });
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    let [first, again] = [0, 0];
    const sender = new Sender({
      name: 'spans',
      exporterOf: (service) => spanExporter(service, `http://127.0.0.1:${port}/v1/traces`),
      repeatShare: 0.25,
      onDelivery: (delivery) => (delivery.first ? (first += 1) : (again += 1)),
    });
    const random = new Random(1);
    const emitter = new Emitter(random, (service, span) => sender.add(service, span));
    for (let turn = 0; turn < 1500; turn += 1) {
      emitter.emit(planRequest(random.pick(journeys).root, random), Date.UTC(2026, 10, 21));
      await sender.ready();
    }
    await sender.flush();
    await sender.close();
    server.close();
    expect(most).toBeLessThanOrEqual(trafficInFlightMax);
    expect(most).toBeGreaterThan(1);
    expect(again).toBe(Math.round(first / 4));
    expect(requests).toBe(first + again);
  });
});
