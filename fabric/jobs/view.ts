import Type, { type Static } from 'typebox';

const TIME = { format: 'date-time', examples: ['2026-01-02T03:04:05.678Z'] } as const;
const text = (description: string) => Type.String({ description });
const count = (description: string) => Type.Integer({ minimum: 0, description });

/** A job as it is shown. */
export const JobView = Type.Object(
  {
    id: Type.Integer({ minimum: 1, description: 'By this number it is known.' }),
    operation: text('The operation that has begun it.'),
    input: Type.Record(Type.String(), Type.Unknown(), { description: 'The input of that operation.' }),
    actor: text('Who has begun it.'),
    state: Type.Enum(['running', 'done', 'cancelled', 'failed', 'interrupted'], {
      description: 'How far it is; `interrupted`: the fabric has ended, or was restarted, before it had.',
    }),
    started: Type.String({ ...TIME, description: 'When it began.' }),
    ended: Type.Union([
      Type.String({
        ...TIME,
        description: 'When it ended, of an interrupted one when it was last seen; null: it is running.',
      }),
      Type.Null(),
    ]),
    rows: count('Rows that were looked at.'),
    changed: count('Those of them that were changed.'),
    failed: count('Those of them that could not be changed.'),
    failures: Type.Array(
      Type.Object({
        subject: text('What could not be changed.'),
        code: text('See docs/errors.md.'),
        message: text('What was wrong.'),
      }),
      { description: 'The first hundred of those.' },
    ),
    effect: Type.Union([
      text('Whether the running fabric has acted on the changes so far, as a phrase; null: none yet.'),
      Type.Null(),
    ]),
  },
  { title: 'Job', description: 'What touches many rows, and goes on by itself.' },
);

type JobFields = Static<typeof JobView>;
/** A job as it is shown. */
export type JobView = Readonly<Omit<JobFields, 'failures'>> & {
  readonly failures: readonly Readonly<JobFields['failures'][number]>[];
};
