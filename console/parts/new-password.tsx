import { TextField } from './field.tsx';

/** A password that somebody chooses; the fabric refuses shorter ones. */
export function NewPassword({
  label,
  value,
  change,
}: {
  readonly label: string;
  readonly value: string;
  readonly change: (value: string) => void;
}) {
  return (
    <TextField
      label={label}
      type="password"
      value={value}
      change={change}
      autocomplete="new-password"
      required
      minLength={12}
      hint="At least 12 characters. A few words that nobody says together are good."
    />
  );
}
