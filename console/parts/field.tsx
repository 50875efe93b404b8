import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

/** What every field has: its label, and what belongs into it. */
interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly change: (value: string) => void;
  readonly hint?: ComponentChildren;
}

/** `control` makes the input, which `id` names and the hint describes. */
function Field({
  label,
  hint,
  control,
}: Pick<FieldProps, 'label' | 'hint'> & {
  readonly control: (id: string, describedBy: string | undefined) => ComponentChildren;
}) {
  const id = useId();
  const hintId = hint === undefined ? undefined : `${id}-hint`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {control(id, hintId)}
      {hint !== undefined && (
        <p class="hint" id={hintId}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** A text field. */
export function TextField({
  label,
  value,
  change,
  hint,
  type = 'text',
  ...rest
}: FieldProps & {
  readonly type?: 'text' | 'password' | 'number' | 'search';
  readonly autocomplete?: string;
  readonly required?: boolean;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly placeholder?: string;
}) {
  return (
    <Field
      label={label}
      hint={hint}
      control={(id, describedBy) => (
        <input
          {...rest}
          id={id}
          type={type as 'text'}
          value={value}
          aria-describedby={describedBy}
          onInput={(event) => change(event.currentTarget.value)}
        />
      )}
    />
  );
}

/** A file of this computer. */
export function FileField({
  label,
  hint,
  accept,
  change,
}: Pick<FieldProps, 'label' | 'hint'> & {
  /** As the browser's dialog offers them, e.g. `.pem,.crt`. */
  readonly accept?: string;
  readonly change: (file: File | undefined) => void;
}) {
  return (
    <Field
      label={label}
      hint={hint}
      control={(id, describedBy) => (
        <input
          id={id}
          type="file"
          {...(accept !== undefined && { accept })}
          aria-describedby={describedBy}
          onChange={(event) => change(event.currentTarget.files?.[0])}
        />
      )}
    />
  );
}

/** The same for a small one; `take` gets its bytes. What is larger than `most` is not read. */
export function SmallFileField({
  most,
  take,
  ...field
}: Pick<FieldProps, 'label' | 'hint'> & {
  readonly accept: string;
  readonly most: number;
  /** Undefined: the file is too large, or cannot be read. */
  readonly take: (bytes: Uint8Array | undefined, name: string) => void;
}) {
  const read = async (file: File): Promise<Uint8Array | undefined> =>
    file.size > most ? undefined : new Uint8Array(await file.arrayBuffer());
  return (
    <FileField
      {...field}
      change={(file) => {
        if (file === undefined) return;
        const done = (bytes: Uint8Array | undefined): void => take(bytes, file.name);
        void read(file).then(done, () => done(undefined));
      }}
    />
  );
}

/** One of a few: values with what they are called. */
export function ChoiceField({
  label,
  value,
  change,
  choices,
  hint,
}: FieldProps & { readonly choices: readonly (readonly [value: string, name: string])[] }) {
  return (
    <Field
      label={label}
      hint={hint}
      control={(id, describedBy) => (
        <select
          id={id}
          value={value}
          aria-describedby={describedBy}
          onChange={(event) => change(event.currentTarget.value)}
        >
          {choices.map(([each, name]) => (
            <option key={each} value={each}>
              {name}
            </option>
          ))}
        </select>
      )}
    />
  );
}
