import { generateMakerKey, signAsMaker } from '../../crypto/maker-key.ts';
import { openSecret, sealSecret } from '../../crypto/sealed.ts';
import { createFolder } from '../../os/files/create.ts';
import { readBounded, readIfThere } from '../../os/files/read.ts';
import { wipe } from '../../protocol/bytes.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';

/** The files of a maker's folder: its key signs the manifests of batches. */
export const MAKER_FILE = { publicKey: 'maker.pub', secret: 'maker.key', sealedSecret: 'maker.enc' } as const;

/** A maker, as its folder shows it without secrets. */
export interface Maker {
  readonly folder: string;
  /** Ed25519, PEM. */
  readonly publicKey: string;
  readonly encrypted: boolean;
}

/** Makes a maker's key in a new folder, encrypted if there is a passphrase. @throws Failure `os.exists` and those of writing files */
export async function createMaker(folder: string, passphrase: Uint8Array | undefined): Promise<Maker> {
  const { secret, publicKey } = generateMakerKey();
  try {
    const held =
      passphrase === undefined
        ? { name: MAKER_FILE.secret, content: secret }
        : { name: MAKER_FILE.sealedSecret, content: await sealSecret(secret, passphrase) };
    await createFolder(folder, [{ name: MAKER_FILE.publicKey, content: publicKey, mode: 0o644 }, held]);
    return { folder, publicKey, encrypted: passphrase !== undefined };
  } finally {
    wipe(secret);
  }
}

/** @throws Failure those of reading files */
export async function openMaker(folder: string): Promise<Maker> {
  const publicKey =
    decodeUtf8(await readBounded(`${folder}/${MAKER_FILE.publicKey}`, "maker's public key")) ?? '';
  const plain = await readIfThere(`${folder}/${MAKER_FILE.secret}`, "maker's key");
  if (plain) wipe(plain);
  return { folder, publicKey, encrypted: plain === undefined };
}

/** Ed25519 over a message, 64 bytes. */
export type Sign = (message: Uint8Array) => Promise<Uint8Array>;

/**
 * Lets `work` sign with the maker's key. `passphrase` is only called for an encrypted key, once.
 * @throws Failure `factory.bad-maker-key`, `os.wrong-passphrase`, and those of `work`
 */
export async function withMakerKey<T>(
  { folder, publicKey, encrypted }: Maker,
  passphrase: () => Promise<Uint8Array>,
  work: (sign: Sign) => Promise<T>,
): Promise<T> {
  const secret = encrypted
    ? await unseal(folder, passphrase)
    : await readBounded(`${folder}/${MAKER_FILE.secret}`, "maker's key");
  try {
    return await work(async (message) => signAsMaker(secret, publicKey, message));
  } finally {
    wipe(secret);
  }
}

/** Who signs labels. */
export interface LabelSigner {
  readonly maker: Maker;
  readonly passphrase: () => Promise<Uint8Array>;
}

/** Lets `work` sign with the signer's key, if there is one. @throws Failure those of `withMakerKey` and of `work` */
export const signing = <T>(
  signer: LabelSigner | undefined,
  work: (sign: Sign | undefined) => Promise<T>,
): Promise<T> =>
  signer === undefined ? work(undefined) : withMakerKey(signer.maker, signer.passphrase, work);

async function unseal(folder: string, passphrase: () => Promise<Uint8Array>): Promise<Uint8Array> {
  const container = await readBounded(`${folder}/${MAKER_FILE.sealedSecret}`, "maker's encrypted key");
  const typed = await passphrase();
  try {
    return await openSecret(container, typed);
  } finally {
    wipe(typed);
  }
}
