import type { ListenAddress } from '../../os/net/listen.ts';
import type { Log } from '../../os/service/log.ts';
import { Failure } from '../../protocol/failure.ts';
import type { OpenId } from '../access/openid.ts';
import type { Performed } from '../operations/contract/operation.ts';
import type { NewsView } from '../operations/news.ts';
import type { Call } from '../operations/running.ts';

type NewsPosition = NewsView['position'];

/** On whose behalf the fabric is asked: the bearer of a token, a person who has signed in, or the console itself. */
export type Caller = Pick<Call, 'token' | 'person' | 'owner'>;

/** The fabric behind the API. */
export interface FabricBehind {
  /**
   * Runs an operation for its caller, who may or may not; undefined: no fabric is serving.
   * @throws Failure of the operation
   */
  call(name: string, caller: Caller, input: unknown): Promise<Performed | undefined>;
  /** Waits some seconds for what is new since a position; undefined: no fabric is serving. */
  news(since: NewsPosition | undefined): Promise<NewsView | undefined>;
}

export interface ApiOptions extends FabricBehind {
  readonly listen: ListenAddress;
  /** PEM; without it the API is served without TLS, which is for loopback only. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Where browsers find the console, `https://HOST` or `http://localhost:PORT`; without it: whatever address they use. */
  readonly origin?: string;
  /** At whose accounts people may sign in; `origin` has to be there. */
  readonly openid?: OpenId;
  /** The folder with the pages of the console; it may be absent. */
  readonly files?: string;
  readonly version: string;
  readonly log: Log;
  readonly now?: () => number;
}

/** What a fabric answers. @throws Failure of the operation, `fabric.not-serving` */
export const ask = async <View>(
  fabric: FabricBehind,
  name: string,
  caller: Caller,
  input: unknown,
): Promise<View> => (await askAll(fabric, name, caller, input)).view as View;

/** The same with what it says beside that. */
export async function askAll(
  { call }: FabricBehind,
  name: string,
  caller: Caller,
  input: unknown,
): Promise<Performed> {
  const done = await call(name, caller, input);
  if (done !== undefined) return done;
  throw new Failure('fabric.not-serving', 'retry', 'no fabric is serving', {
    action: 'Start it ("enf-fabric serve"), or wait until it has started.',
  });
}
