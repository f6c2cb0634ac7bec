import { hookFailed, reasonOf, show, TrackUsageError } from '../errors.ts';
import { monotonicClock } from '../platform/clock.ts';
import { type CapturedRecord, REQUEST_CLASSES } from '../record.ts';
import { keyFailed, keysOf, urlKeyOf } from '../summaries/keys.ts';
import { type ClassifyFunction, codeOfChoice, codeOfType } from '../summaries/request-class.ts';
import { type UrlKeyFunction, withUrlKey } from '../summaries/url-key.ts';
import { cut, TEXT_LIMITS } from '../text/text.ts';
import { addressOf, isWithheld, withoutMapping } from './address.ts';
import { anonymizeForwarded, anonymizeIp } from './anonymize.ts';
import { capturedRecord } from './captured.ts';
import type { Cookies } from './cookies.ts';
import type { Exchange, Request } from './exchange.ts';
import { extraOf, jsonOf } from './extra.ts';
import { hopsOf, parseForwarded } from './forwarded.ts';
import { type HeaderFields, readHeaders } from './headers.ts';
import type { CaptureOptions } from './options.ts';
import { receivedBytes } from './received.ts';
import type { CapturedFields } from './record-sink.ts';
import { cleanReferrer } from './redact.ts';
import { requireSynchronous } from './require-synchronous.ts';
import { NO_FIELDS } from './stored-fields.ts';
import { firstOf, isTrusted } from './trust.ts';
import { isHost, UrlMaker } from './url.ts';
import { decodeUtf8 } from './utf8.ts';
import type { RequestVars } from './vars.ts';

/** Reads the data of a record in a form that can be stored. */
export class FieldReader {
  readonly #options: CaptureOptions;
  readonly #vars: RequestVars;
  readonly #cookies: Cookies;
  readonly #urls: UrlMaker;
  readonly #onVars = (error: unknown) =>
    this.#options.onProblem(
      new TrackUsageError('VARS_LEFT_OUT', { reason: reasonOf(error) }, { cause: error }),
    );
  #reportedAddress = false;

  constructor(options: CaptureOptions, vars: RequestVars, cookies: Cookies) {
    this.#options = options;
    this.#vars = vars;
    this.#cookies = cookies;
    this.#urls = new UrlMaker(options.cleanUrl);
  }

  /**
   * Reads everything except the duration, which is not known yet. Returns `undefined` if the request is not recorded.
   * @param hadHeaders True if the visitor's cookie was processed when the response's headers were written.
   */
  read(exchange: Exchange, status: number, bytes: number, hadHeaders: boolean): CapturedFields | undefined {
    const { request, reader, connection } = exchange;
    const { cleanUrl, optOut } = this.#options;
    const sent = readHeaders(request.rawHeaders);
    const isAnonymous = optOut?.applies(sent) === true;
    if (isAnonymous && optOut.excludes) return undefined;
    const chosen = isAnonymous ? NO_FIELDS : this.#options.fields;
    const peer = connection?.address ?? '';
    let scheme = connection?.scheme ?? 'https://';
    let { host, forwardedFor } = sent;
    let remoteAddr = withoutMapping(peer);
    if (
      forwardedFor !== '' ||
      sent.forwardedProto !== '' ||
      sent.forwardedHost !== '' ||
      sent.forwarded !== ''
    ) {
      const trusts = (address: string, hop: number) =>
        isTrusted(exchange, address, hop, this.#options.onProblem);
      const { hops, proto, host: forwardedHost } = forwardedOf(sent);
      if (forwardedFor === '') forwardedFor = hops.join(', ');
      remoteAddr = this.#clientAddress(peer, hops, trusts);
      if (trusts(peer, 0)) {
        if (proto !== '') scheme = proto.toLowerCase() === 'https' ? 'https://' : 'http://';
        if (isHost(forwardedHost)) host = forwardedHost;
      }
    }
    if (!chosen.remoteAddr) remoteAddr = '';
    if (!chosen.forwardedFor) forwardedFor = '';
    if (this.#options.anonymizeIp) {
      remoteAddr = remoteAddr === '' ? '' : (anonymizeIp(remoteAddr) ?? '');
      if (forwardedFor !== '') forwardedFor = anonymizeForwarded(forwardedFor);
    }
    const acceptLanguage = chosen.language ? sent.acceptLanguage : '';
    const route = cut(reader.route(request), TEXT_LIMITS.route);
    const fields: CapturedFields = {
      date: exchange.date,
      contentLength: bytes,
      received: receivedBytes(request, sent),
      class: codeOfType(exchange.contentType),
      duration: 0,
      status,
      credentials: sent.authorization !== '',
      method: cut(request.method ?? '', TEXT_LIMITS.method),
      url: cut(this.#urls.make(scheme, host, decodeUtf8(exchange.target), exchange), TEXT_LIMITS.url),
      route,
      protocol: PROTOCOLS[request.httpVersion] ?? cut(`HTTP/${request.httpVersion}`, TEXT_LIMITS.protocol),
      remoteAddr,
      forwardedFor: cut(forwardedFor, TEXT_LIMITS.forwardedFor),
      agent: chosen.userAgent ? cut(decodeUtf8(sent.agent), TEXT_LIMITS.agent) : '',
      acceptLanguage:
        acceptLanguage.length > TEXT_LIMITS.acceptLanguage
          ? acceptLanguage.slice(0, TEXT_LIMITS.acceptLanguage)
          : acceptLanguage,
      referrer:
        sent.referrer === '' || !chosen.referrer
          ? ''
          : cut(cleanReferrer(cleanUrl, decodeUtf8(sent.referrer)), TEXT_LIMITS.referrer),
      username: chosen.username ? this.#username(request, sent.authorization) : '',
      visitor: exchange.visitor,
      blueprint: route === '' ? '' : cut(reader.blueprint(request), TEXT_LIMITS.blueprint),
      extra: '',
    };
    // The client left before the headers. A known visitor is still recorded.
    if (!hadHeaders && fields.visitor === '' && !isAnonymous)
      fields.visitor = this.#cookies.visitorOf(exchange, sent);
    fields.extra = this.#extraOf(fields, exchange, route === '' ? undefined : reader.routeParams(request));
    return fields;
  }

  #extraOf(fields: CapturedFields, exchange: Exchange, routeParams: object | undefined): string {
    const noted = this.#vars.peek(exchange.request);
    const { closures, urlKey, classify, names, stored } = this.#options;
    if (closures.length === 0 && urlKey === undefined && classify === undefined)
      return extraOf(routeParams, noted, '', this.#onVars);
    fields.duration = microsSince(exchange.started, monotonicClock.now());
    const record = capturedRecord(fields, names, routeParams, noted);
    // The writer needs these fields, and removes them.
    if (!stored.remoteAddr) record.remoteAddr = null;
    if (!stored.userAgent) record.userAgent = null;
    if (classify !== undefined) this.#classify(classify, record, fields);
    const keys = closures.length > 0 ? this.#keysOf(record) : '';
    const extra = extraOf(routeParams, noted, keys, this.#onVars);
    const key = urlKey === undefined ? '' : this.#urlKeyOf(urlKey, record);
    return key === '' || key === fields.url ? extra : withUrlKey(extra, key);
  }

  /** Sets the class to the result of the option `classify`, for the other functions, too. */
  #classify(classify: ClassifyFunction, record: CapturedRecord, fields: CapturedFields): void {
    try {
      const chosen = requireSynchronous(classify(record)) ?? null;
      if (chosen === null) return;
      if (!REQUEST_CLASSES.includes(chosen)) {
        throw new TypeError(`it returned ${show(chosen)}, expected ${EXPECTED_CLASSES}`);
      }
      record.class = chosen;
      fields.class = codeOfChoice(chosen);
    } catch (error) {
      this.#options.onProblem(hookFailed('the option classify', 'the request has its default class', error));
    }
  }

  /** Returns the result of the option `urlKey`, or `''` for the URL. */
  #urlKeyOf(urlKey: UrlKeyFunction, record: CapturedRecord): string {
    try {
      return urlKeyOf(urlKey(record));
    } catch (error) {
      this.#options.onProblem(hookFailed('the option urlKey', 'the request counts under its URL', error));
      return '';
    }
  }

  /** Returns the JSON of the keys in summaries whose key is a closure. */
  #keysOf(record: CapturedRecord): string {
    const { closures, onProblem } = this.#options;
    const keys: Record<string, string[]> = {};
    for (const { name, key } of closures) {
      try {
        const found = keysOf(key!(record));
        if (found.length > 0) keys[name] = found;
      } catch (error) {
        onProblem(keyFailed(name, error));
      }
    }
    return jsonOf(keys, TEXT_LIMITS.keys, (error) =>
      onProblem(new TrackUsageError('SUMMARY_KEYS', { reason: reasonOf(error) }, { cause: error })),
    );
  }

  /**
   * Returns the client's address as reported by the trusted proxies. If one of them reports no address,
   * returns the address of that proxy, which is the nearest known one.
   */
  #clientAddress(
    peer: string,
    hops: readonly string[],
    trusts: (address: string, hop: number) => boolean,
  ): string {
    let nearest = peer;
    for (let hop = 0; hop < hops.length && trusts(nearest, hop); hop++) {
      const forwarded = hops[hops.length - 1 - hop]!;
      const address = addressOf(forwarded);
      if (address === '') {
        if (!isWithheld(forwarded)) this.#reportAddress(nearest, forwarded);
        break;
      }
      nearest = address;
    }
    return withoutMapping(nearest);
  }

  /** Reports an invalid address only once, because a trusted proxy may send it with each request. */
  #reportAddress(proxy: string, forwarded: string): void {
    if (this.#reportedAddress) return;
    this.#reportedAddress = true;
    this.#options.onProblem(new TrackUsageError('ADDRESS_UNREADABLE', { proxy, value: show(forwarded) }));
  }

  #username(request: Request, authorization: string): string {
    const { username, onProblem } = this.#options;
    if (username) {
      try {
        const name = requireSynchronous(username(request));
        return typeof name === 'string' ? cut(name, TEXT_LIMITS.username) : '';
      } catch (error) {
        onProblem(hookFailed('the option username', 'the request is recorded without a user name', error));
        return '';
      }
    }
    // RFC 7617: Basic base64(user-id ":" password)
    if (authorization === '' || !/^basic /i.test(authorization)) return '';
    const text = Buffer.from(authorization.slice(6).trim(), 'base64').toString();
    const colon = text.indexOf(':');
    return colon < 1 ? '' : cut(text.slice(0, colon), TEXT_LIMITS.username);
  }
}

/** Returns the time between two moments in ms, in whole µs. */
export function microsSince(started: number, now: number): number {
  return Math.round((now - started) * 1000);
}

const EXPECTED_CLASSES = REQUEST_CLASSES.map((name) => `"${name}"`).join(', ');

const PROTOCOLS: Record<string, string> = { '1.1': 'HTTP/1.1', '1.0': 'HTTP/1.0', '2.0': 'HTTP/2.0' };

/**
 * Returns the request as proxies describe it: in X-Forwarded headers or, without those, in `Forwarded` (RFC
 * 7239).
 */
function forwardedOf(sent: HeaderFields): { hops: string[]; proto: string; host: string } {
  if (sent.forwardedFor !== '' || sent.forwardedProto !== '' || sent.forwardedHost !== '') {
    return {
      hops: hopsOf(sent.forwardedFor),
      proto: firstOf(sent.forwardedProto),
      host: firstOf(sent.forwardedHost),
    };
  }
  const elements = parseForwarded(sent.forwarded);
  const { proto = '', host = '' } = elements[0] ?? {};
  return { hops: elements.map((element) => element.for), proto, host };
}
