import { useState } from 'preact/hooks';

/** A text with a button that copies it. */
export function Copyable({ text, shown = text }: { readonly text: string; readonly shown?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return; // The browser may not; the text is there to be marked.
    }
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <span class="copyable">
      <code>{shown}</code>
      {globalThis.isSecureContext && (
        <button type="button" class="link" onClick={copy} aria-label={`Copy ${shown}`}>
          {copied ? 'copied' : 'copy'}
        </button>
      )}
    </span>
  );
}
