import { X509Certificate } from 'node:crypto';

/**
 * Whether the text begins with a certificate, but for what people write beside them. Node takes authorities that are none for
 * none at all, and believes those of the system where the text is empty, as a file is in the middle of a write.
 */
export function holdsCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}
