/** Certificates for tests, made by OpenSSL: an authority, a broker on loopback, a client. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface Certificates {
  /** Files in PEM. */
  readonly ca: string;
  /** Key and certificate together, as Kafka wants them. */
  readonly broker: string;
  readonly clientCert: string;
  readonly clientKey: string;
  /** The client's key again, encrypted by `keyPassword`. */
  readonly encryptedKey: string;
  readonly keyPassword: string;
  /** An authority that has nothing to do with the others. */
  readonly strangeCa: string;
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

/** Makes them in `directory`. Throws where there is no `openssl`. */
export function makeCertificates(directory: string): Certificates {
  const file = (name: string) => path.join(directory, name);
  const authority = (name: string) => {
    const out = ['-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)];
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, ...out);
  };
  const signed = (name: string, extension: string) => {
    const out = ['-keyout', file(`${name}.key`), '-out', file(`${name}.csr`)];
    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, ...out);
    writeFileSync(file(`${name}.ext`), extension);
    const by = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial'];
    const from = ['-in', file(`${name}.csr`), '-extfile', file(`${name}.ext`)];
    openssl('x509', '-req', ...from, ...by, '-days', '2', '-out', file(`${name}.pem`));
  };
  authority('ca');
  authority('strange');
  signed('broker', 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  signed('client', 'extendedKeyUsage=clientAuth\n');
  const both = [file('broker.key'), file('broker.pem')].map((name) => readFileSync(name, 'utf8'));
  writeFileSync(file('broker.both.pem'), both.join(''));
  const keyPassword = 'key-password-7d1';
  const encrypt = ['-v2', 'aes-256-cbc', '-passout', `pass:${keyPassword}`];
  const encryptedKey = file('client.encrypted.key');
  openssl('pkcs8', '-topk8', ...encrypt, '-in', file('client.key'), '-out', encryptedKey);
  return {
    ca: file('ca.pem'),
    broker: file('broker.both.pem'),
    clientCert: file('client.pem'),
    clientKey: file('client.key'),
    encryptedKey,
    keyPassword,
    strangeCa: file('strange.pem'),
  };
}
