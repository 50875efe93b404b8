/**
 * Has the text a character that nobody sees, or one that changes how others are read: a control character moves a terminal's cursor, a direction
 * mark makes a name read as another one, a zero-width character makes two names look alike, half a surrogate pair is no character?
 */
export function hasUnprintable(text: string): boolean {
  return UNPRINTABLE.test(text);
}

/** All that is so in every version of Unicode; what is unassigned today may be a letter tomorrow. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
