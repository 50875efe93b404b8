import { concat, readU32, u32 } from '../../protocol/bytes.ts';
import type { Answer, Question } from './messages.ts';

/**
 * What identity processes and the fabric say most, as bytes: a message of objects and arrays of bytes costs them several times
 * as much as what is in it.
 *
 *   0    4     36          101           166         182     183             184
 *   +----+-----+-----------+-------------+-----------+-------+---------------+--------+
 *   | id | gid | pseudonym | longterm key| requested | suite | source length | source |   admit
 *   +----+-----+-----------+-------------+-----------+-------+---------------+--------+
 *   | id | address |                                                                     its answer, 20 bytes
 *   +----+---------+
 */
export interface Packed<T> {
  readonly rows: Uint8Array;
  /** All that is said seldom. */
  readonly others: readonly T[];
}

const [GID, PSEUDONYM, LONGTERM, REQUESTED, SUITE, SOURCE] = [4, 36, 101, 166, 182, 184];
const ADDRESS = 16;

export function packQuestions(questions: readonly Question[]): Packed<Question> {
  const rows: Uint8Array[] = [];
  const others = questions.filter((question) => {
    if (question.ask !== 'admit') return true;
    const { gid, pseudonym, longtermKey, requested, suite, source } = question.applicant;
    const from = Buffer.from(source, 'latin1');
    rows.push(
      u32(question.id),
      gid,
      pseudonym,
      longtermKey,
      requested,
      Uint8Array.of(suite, from.length),
      from,
    );
    return false;
  });
  return { rows: concat(...rows), others };
}

export function unpackQuestions({ rows, others }: Packed<Question>): Question[] {
  const questions = [...others];
  const text = Buffer.from(rows.buffer, rows.byteOffset, rows.length);
  for (let at = 0, next = 0; at < rows.length; at = next) {
    next = at + SOURCE + rows[at + SOURCE - 1]!;
    const part = (from: number, to: number): Uint8Array => rows.subarray(at + from, at + to);
    questions.push({
      id: readU32(rows, at),
      ask: 'admit',
      applicant: {
        gid: part(GID, PSEUDONYM),
        pseudonym: part(PSEUDONYM, LONGTERM),
        longtermKey: part(LONGTERM, REQUESTED),
        requested: part(REQUESTED, SUITE),
        suite: rows[at + SUITE]!,
        source: text.toString('latin1', at + SOURCE, next),
      },
    });
  }
  return questions;
}

export function packAnswers(answers: readonly Answer[]): Packed<Answer> {
  const rows: Uint8Array[] = [];
  const others = answers.filter((answer) => {
    const address = 'value' in answer && answer.value instanceof Uint8Array ? answer.value : undefined;
    if (address?.length !== ADDRESS) return true;
    rows.push(u32(answer.id), address);
    return false;
  });
  return { rows: concat(...rows), others };
}

export function unpackAnswers({ rows, others }: Packed<Answer>): Answer[] {
  const answers = [...others];
  for (let at = 0; at < rows.length; at += 4 + ADDRESS) {
    answers.push({ id: readU32(rows, at), value: rows.slice(at + 4, at + 4 + ADDRESS) });
  }
  return answers;
}
