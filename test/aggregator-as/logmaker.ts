/** Seeded random ExportLogsServiceRequests with every field of the official protos, in any order. */
import { Generator } from './generate.ts';
import { bytesField, fixed32Field, fixed64Field, message, varintField } from './wire.ts';

export class LogGenerator extends Generator {
  override request(): Uint8Array {
    const resources = this.many(3, () => bytesField(1, this.resourceLogs(), this.extra()));
    return this.message(resources);
  }

  private resourceLogs(): Uint8Array {
    const scopes = this.many(3, () => bytesField(2, this.scopeLogs()));
    const head = this.some(
      () => bytesField(1, this.resource()),
      () => bytesField(3, this.text()),
    );
    return this.message([...head, ...scopes]);
  }

  private scopeLogs(): Uint8Array {
    const logs = this.many(6, () => bytesField(2, this.log(), this.extra()));
    // Records that are truly repeated are items of their own.
    const again = logs.length > 0 && this.chance(0.3) ? [this.pick(logs), this.pick(logs)] : [];
    const head = this.some(
      () => bytesField(1, this.scope()),
      () => bytesField(3, this.text()),
    );
    return this.message([...head, ...logs, ...again]);
  }

  private sometime(): bigint {
    return this.chance(0.1) ? 0n : this.time();
  }

  private log(): Uint8Array {
    return this.message([
      ...this.some(
        () => fixed64Field(1, this.sometime()),
        () => varintField(2, this.chance(0.1) ? this.word() : this.below(25)),
        () => bytesField(3, this.text()),
        () => bytesField(5, this.anyValue(0), this.extra()),
        () => varintField(7, this.word()),
        () => fixed32Field(8, this.chance(0.5) ? 1 : this.below(2 ** 32)),
        () => bytesField(9, this.id(16)),
        () => bytesField(10, this.id(8)),
        () => fixed64Field(11, this.sometime()),
        () => bytesField(12, this.text()),
      ),
      ...this.attributes(6, 8),
      ...(this.chance(0.03) ? [bytesField(3, 'again'), varintField(2, 9)] : []),
      // Field 4 is reserved.
      ...(this.chance(0.02) ? [bytesField(4, 'old name')] : []),
    ]);
  }
}

/** A request of one resource and scope, which hold these log records. */
export function logsRequest(...logs: Uint8Array[]): Uint8Array {
  return bytesField(1, bytesField(2, message(...logs.map((log) => bytesField(2, log)))));
}
