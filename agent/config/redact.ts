/** What replaces a text that was removed. */
export const REDACTED = '[redacted]';

/**
 * Removes from a text what could be a secret, by its shape: PEM blocks, long runs of hex or base64 digits, passwords in
 * URLs and behind words like "password=". Addresses, times, file names and failure codes are kept. Texts come from outside: the time of each
 * pattern is linear in their length, because it begins at few places and none of its parts runs over the beginning of another match.
 */
export function redact(text: string): string {
  return text
    .replace(/-----BEGIN [^-]+-----[\s\S]*?(?:-----END [^-]+-----|$)/g, REDACTED)
    .replace(/(?<=[a-z0-9+.-]:\/\/)[^\s/@"']+@/gi, `${REDACTED}@`)
    .replace(
      /\b(pass(?:word|phrase|wd)?|pin-value|secret|token|auth|credential|api[-_]?key)(["']?\s*[=:]\s*)("[^"\n]*"|'[^'\n]*'|[^\s,;"'}\]]+)/gi,
      `$1$2${REDACTED}`,
    )
    .replace(/(?<![0-9A-Za-z])[0-9a-f]{32,}(?![0-9A-Za-z])/gi, REDACTED)
    .replace(/(?<![\w+/.:-])(?=[\w+/-]*\d)(?=[\w+/-]*[A-Za-z])[A-Za-z0-9+/_-]{40,}={0,2}/g, REDACTED);
}
