import { describe, expect, test } from 'vitest';
import { backoff } from '../../../fabric/access/backoff.ts';
import { passwords } from '../../../fabric/access/password.ts';
import { PERMISSIONS, permissionsOf, ROLES } from '../../../fabric/access/roles.ts';
import { issueSecret, secretHash } from '../../../fabric/access/secrets.ts';

describe('a password', () => {
  const all = passwords();

  test('is known again, and no other is', async () => {
    const hash = await all.hash('correct horse battery');
    expect(hash).toMatch(/^\$scrypt\$ln=15,r=8,p=3\$[^$]{22}\$[^$]{43}$/);
    expect(hash).not.toContain('horse');
    expect(await all.verify('correct horse battery', hash)).toBe(true);
    expect(await all.verify('correct horse batterz', hash)).toBe(false);
    expect(await all.verify('', hash)).toBe(false);
    expect(await all.hash('correct horse battery')).not.toBe(hash);
  });

  test('is the same however its letters are composed', async () => {
    expect(await all.verify('pässwörter sind', await all.hash('pa\u0308sswo\u0308rter sind'))).toBe(true);
  });

  test('of nobody is computed all the same, and is wrong', async () => {
    expect(await all.verify('correct horse battery', undefined)).toBe(false);
  });

  test.each(['short', '', 'x'.repeat(257)])('%# is refused as weak', async (password) => {
    await expect(all.hash(password)).rejects.toMatchObject({ code: 'access.weak-password' });
  });

  test.each([
    '',
    'plain',
    '$scrypt$ln=15,r=8,p=3$AAAA$BBBB',
    `$scrypt$ln=40,r=8,p=3$${'A'.repeat(22)}$${'B'.repeat(43)}`,
    `$argon2id$v=19$m=65536,t=3,p=4$${'A'.repeat(22)}$${'B'.repeat(43)}`,
  ])('with a hash that is none is wrong: %s', async (hash) => {
    expect(await all.verify('correct horse battery', hash)).toBe(false);
  });

  test('waits while two are computed, and the twenty-third is refused', async () => {
    const one = passwords();
    const hash = await one.hash('correct horse battery');
    const many = await Promise.allSettled(
      Array.from({ length: 25 }, () => one.verify('wrong password', hash)),
    );
    const refused = many.filter(({ status }) => status === 'rejected');
    expect(refused.map((each) => (each as PromiseRejectedResult).reason.code)).toEqual(
      Array(3).fill('access.busy'),
    );
    expect(await one.verify('correct horse battery', hash)).toBe(true);
  });
});

describe('a secret', () => {
  test('is looked up by its hash, which it has of its own', () => {
    const [one, two] = [issueSecret('token'), issueSecret('token')];
    expect(one.text).toMatch(/^enf_[\w-]{49}$/);
    expect(secretHash('token', one.text)).toEqual(one.hash);
    expect(one.hash).not.toEqual(two.hash);
  });

  test('that was mistyped, cut or is of another kind has none', () => {
    const { text } = issueSecret('token');
    const typo = `${text.slice(0, 10)}${text[10] === 'A' ? 'B' : 'A'}${text.slice(11)}`;
    for (const wrong of ['', text.slice(0, -1), `${text}A`, typo, issueSecret('invite').text, ` ${text}`]) {
      expect(secretHash('token', wrong), wrong).toBeUndefined();
    }
  });
});

describe('who guesses', () => {
  test('waits longer and longer, up to a quarter of an hour, and everybody else does not', () => {
    let now = 0;
    const guesses = backoff(() => now);
    const pauses = Array.from({ length: 16 }, () => {
      guesses.failed('anna');
      return guesses.waitMs('anna') / 1_000;
    });
    expect(pauses).toEqual([0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    expect(guesses.waitMs('bob')).toBe(0);
    now += 900_000;
    expect(guesses.waitMs('anna')).toBe(0);
    guesses.failed('anna');
    expect(guesses.waitMs('anna')).toBe(900_000);
    guesses.succeeded('anna');
    expect(guesses.waitMs('anna')).toBe(0);
  });

  test('is forgotten after an hour, and when others have failed since', () => {
    let now = 0;
    const guesses = backoff(() => now, 3);
    for (let i = 0; i < 6; i++) guesses.failed('anna');
    now += 3_600_001;
    expect(guesses.waitMs('anna')).toBe(0);
    for (const who of ['a', 'b', 'c']) for (let i = 0; i < 6; i++) guesses.failed(who);
    guesses.failed('d');
    expect([guesses.waitMs('a'), guesses.waitMs('b') > 0]).toEqual([0, true]);
  });
});

describe('a role', () => {
  test('below owner may nothing that an owner may not, and an auditor changes nothing', () => {
    const owner = permissionsOf('owner');
    for (const role of ROLES.filter((each) => each !== 'host')) {
      expect(permissionsOf(role).filter((permission) => !owner.includes(permission))).toEqual([]);
    }
    expect(permissionsOf('auditor').filter((permission) => !permission.endsWith('.read'))).toEqual([]);
    expect(permissionsOf('host')).toEqual(PERMISSIONS);
    expect(permissionsOf('installer')).not.toContain('devices.standing');
  });
});
