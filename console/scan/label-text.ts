/** A code that was read: a label's text for the fabric to parse, or something else. */
export type Code =
  | { readonly kind: 'label'; readonly text: string }
  | { readonly kind: 'other'; readonly beginning: string };

const LONGEST = 4_096;
const SHOWN = 40;

/** Tells labels from other codes by how they begin; what a label says, the fabric alone decides. */
export function codeOf(text: string): Code {
  const trimmed = text.trim();
  if (trimmed.length <= LONGEST && /^(?:https:\/\/\S*#)?ENF1:/.test(trimmed))
    return { kind: 'label', text: trimmed };
  return { kind: 'other', beginning: trimmed.length > SHOWN ? `${trimmed.slice(0, SHOWN)}…` : trimmed };
}
