/** What a server shows of itself, and whom it believes. PEM texts. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** Authorities whose client certificates are believed; null when clients are not asked for any. */
  readonly clientCa: string | null;
  /** Whether a connection without a verified certificate is cut off in the handshake. */
  readonly clientCertificates: 'optional' | 'required';
}

/** The last good material, which may be replaced while the server runs. */
export interface TlsSource {
  current(): TlsMaterial;
  /** Calls the listener with each new one; the answer ends that. */
  subscribe(listener: (material: TlsMaterial) => void): () => void;
}
