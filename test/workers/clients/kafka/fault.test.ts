import kafkajs from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { KafkaError } from '../../../../schemas/errors.ts';
import { kafkaFault } from '../../../../workers/clients/kafka/fault.ts';

const protocol = (type: string, retriable: boolean): Error =>
  new kafkajs.KafkaJSProtocolError(Object.assign(new Error('it said no'), { type, retriable }));

/** One of the library's classes that its types do not let anybody make. */
const failed = (name: string): Error => Object.assign(new Error('no'), { name, retriable: false });

describe('kafkaFault()', () => {
  it.each([
    ['a broker that is away', new kafkajs.KafkaJSConnectionError('refused'), 'CONNECTION', true],
    ['a request time-out', new kafkajs.KafkaJSRequestTimeoutError('late'), 'TIMEOUT', true],
    ['a wrong password', failed('KafkaJSSASLAuthenticationError'), 'AUTHENTICATION', false],
    ['too large', protocol('MESSAGE_TOO_LARGE', false), 'MESSAGE_TOO_LARGE', false],
    ['no leader', protocol('LEADER_NOT_AVAILABLE', true), 'LEADER_NOT_AVAILABLE', true],
    ['a socket', Object.assign(new Error('reset'), { code: 'ECONNRESET' }), 'CLIENT', true],
    ['a bug', new TypeError('x is undefined'), 'CLIENT', false],
    ['no error at all', 'text', 'CLIENT', false],
  ])('of %s', (_name, error, kafkaType, retryable) => {
    const fault = kafkaFault(error, 'Cannot do it');
    expect(fault).toMatchObject({ code: 'KAFKA', kafkaType, retryable });
    expect(fault.message).toMatch(/^Cannot do it: /);
  });

  it('looks under what wraps it, and leaves our own errors as they are', () => {
    const inner = new kafkajs.KafkaJSConnectionError('refused');
    const outer = new kafkajs.KafkaJSNumberOfRetriesExceeded(inner, {
      retryCount: 3,
      retryTime: 9,
    });
    const ours = new KafkaError('CORRUPT_MESSAGE', 'Cannot inflate');
    expect(kafkaFault(outer, 'Cannot do it')).toMatchObject({ retryable: true, cause: outer });
    expect(kafkaFault(ours, 'Cannot do it')).toBe(ours);
    const many = Object.assign(new Error('several'), { errors: [inner, ours] });
    expect(kafkaFault(many, 'Cannot do it')).toMatchObject({ kafkaType: 'CONNECTION' });
  });
});
