import { isIP } from 'node:net';
import proxyAddr from 'proxy-addr';
import type { Facts } from '../journal/codec.ts';
import type { Journal } from '../journal/journal.ts';
import type { Summary } from '../summaries/define.ts';
import { keysOf } from '../summaries/keys.ts';
import { cut, TEXT_LIMITS } from '../text.ts';
import { atOnce } from './at-once.ts';
import { capturedRecord } from './captured.ts';
import {
  Connection,
  Exchange,
  exchangeOf,
  exchangeOf2,
  keepOn,
  type Request,
  type RequestReader,
  type Response,
} from './exchange.ts';
import { extraOf, jsonOf } from './extra.ts';
import { type HeaderFacts, readHeaders } from './headers.ts';
import { Holder } from './hold.ts';
import { headerIn, hookHttp2ServerResponse, hookServerResponse } from './hooks.ts';
import { anonymizeForwarded, anonymizeIp } from './redact.ts';
import { nodeRequestOf, RequestVars } from './vars.ts';
import type { MarkedViews } from './views.ts';
import { isShareable, type VisitorCookie } from './visitor.ts';

/** A client that left before any header was sent (nginx's code for it). */
const CLIENT_CLOSED_REQUEST = 499;

export interface CaptureOptions {
  journal: Journal;
  /** Cleans a URL or referrer of secrets. */
  redact(url: string): string;
  anonymizeIp: boolean;
  /** Which requests become records. */
  views: MarkedViews;
  cookie: VisitorCookie | undefined;
  /** Whether the visitor agreed to a cookie. */
  cookieWhen: ((request: Request) => boolean) | undefined;
  username: ((request: Request) => string | null | undefined) | undefined;
  /** The names that stand in every record. */
  names: { site: string; serverName: string };
  /** The summaries whose key is a function of the user's. */
  closures: readonly Summary[];
  /** Told when something of ours, or a function of the user's, threw. */
  onError(what: string, error: unknown): void;
}

/** Turns requests and responses into records, in the app's thread, just before each response is complete. */
export class Capture {
  readonly #options: CaptureOptions;
  readonly #journal: Journal;
  readonly #holder: Holder | undefined;
  readonly #vars = new RequestVars();
  #stopped = false;
  readonly #onVars = (error: unknown) =>
    this.#options.onError("a request's vars, which were left out,", error);
  /** One object, used for every record. */
  readonly #facts: Facts & HeaderFacts = {
    date: 0,
    contentLength: 0,
    duration: 0,
    status: 0,
    method: '',
    url: '',
    route: '',
    protocol: '',
    remoteAddr: '',
    username: '',
    visitor: '',
    blueprint: '',
    extra: '',
    credentials: false,
    host: '',
    agent: '',
    acceptLanguage: '',
    referrer: '',
    forwardedFor: '',
    forwardedProto: '',
    forwardedHost: '',
    authorization: '',
    cookie: '',
  };

  constructor(options: CaptureOptions) {
    this.#options = options;
    this.#journal = options.journal;
    if (this.#journal.holdsResponses) {
      const holder = new Holder(() => this.#journal.appendPending());
      this.#journal.afterTurn = () => holder.release();
      this.#holder = holder;
    }
    hookServerResponse();
  }

  /** From now on nothing is recorded. */
  stop(): void {
    this.#stopped = true;
  }

  /** A request has arrived. A second call for the same one only says that its framework is known now. */
  begin(request: Request, response: Response, target: string, reader: RequestReader): void {
    if (this.#stopped) return;
    try {
      if ('stream' in response) this.#begin2(request, response, target, reader);
      else this.#begin1(request, response, target, reader);
    } catch (error) {
      this.#options.onError('capture', error);
    }
  }

  #begin1(
    request: Request,
    response: Response & { stream?: undefined },
    target: string,
    reader: RequestReader,
  ) {
    const first = exchangeOf(response);
    if (first !== undefined) {
      this.#join(first, request, response, target, reader);
      return;
    }
    // Complete, and recorded by whoever saw it before; or begun before anybody looked.
    if (response.headersSent) return;
    const connection = Connection.of(request.socket);
    let { exchange } = connection;
    // One that waits behind another has no socket yet; one that was injected has another.
    if (exchange.response !== undefined || response.socket !== request.socket) {
      exchange = new Exchange();
      keepOn(response, exchange);
      connection.add(exchange);
    }
    exchange.begin(this, request, response, target, reader, connection);
  }

  #begin2(request: Request, response: Response, target: string, reader: RequestReader) {
    if (!('stream' in response)) return;
    hookHttp2ServerResponse(Object.getPrototypeOf(response));
    const first = exchangeOf2(response);
    if (first !== undefined) {
      this.#join(first, request, response, target, reader);
      return;
    }
    if (response.headersSent) return;
    const exchange = new Exchange();
    const session = response.stream.session;
    exchange.begin(
      this,
      request,
      response,
      target,
      reader,
      session ? Connection.of(session.socket) : undefined,
    );
    keepOn(response, exchange);
    response.stream.once('close', () => {
      for (let open: Exchange | undefined = exchange; open; open = open.next) open.capture.abandon(open);
    });
  }

  #join(first: Exchange, request: Request, response: Response, target: string, reader: RequestReader): void {
    let exchange = first;
    while (exchange.capture !== this && exchange.next) exchange = exchange.next;
    if (exchange.capture === this) {
      exchange.reader = reader;
      return;
    }
    exchange.next = new Exchange();
    exchange.next.begin(this, request, response, target, reader, first.connection);
  }

  /** Whether `exclude` or `include` was given this function. */
  isMarked(given: unknown): boolean {
    return this.#options.views.has(given);
  }

  /** The request becomes another protocol's connection: its HTTP part is over. */
  upgrade(request: Request, target: string, reader: RequestReader, status: number): void {
    if (this.#stopped) return;
    const exchange = new Exchange();
    exchange.begin(this, request, UPGRADED, target, reader, Connection.of(request.socket));
    this.#record(exchange, status, 0);
    exchange.response = undefined;
  }

  /** The vars of what a framework's handler was given; of nothing that lasts where that is no request. */
  vars(given: unknown): Record<string, unknown> {
    const request = nodeRequestOf(given);
    if (request) return this.#vars.of(request);
    this.#options.onError('usage.vars()', new TypeError('it was not given a request'));
    return {};
  }

  /** The bytes that complete the response are about to be handed to Node. */
  complete(exchange: Exchange, bytes: number): void {
    const response = exchange.response!;
    this.#forget(exchange, response);
    this.#record(exchange, response.statusCode, bytes, response);
    const { connection } = exchange;
    if (this.#holder === undefined) return;
    // Of a response that waits behind another, Node itself decides when its bytes go out.
    if ('stream' in response || response.socket !== connection?.socket) this.#journal.appendPending();
    else this.#holder.hold(connection);
  }

  /** The client left, or the app destroyed the response, before it was complete. */
  abandon(exchange: Exchange): void {
    const { response } = exchange;
    if (!response) return;
    this.#forget(exchange, response);
    const status = exchange.begun && response.headersSent ? response.statusCode : CLIENT_CLOSED_REQUEST;
    this.#record(exchange, status, exchange.bytes);
  }

  /** The visitor's cookie, decided when the headers are final. Returns the headers to give to `writeHead`. */
  prepareHeaders(exchange: Exchange, headers: unknown): unknown {
    const { cookie, cookieWhen, onError, views } = this.#options;
    if (!cookie || exchange.cookieSeen) return headers;
    exchange.cookieSeen = true;
    try {
      if (!views.tracks(exchange)) return headers;
      const request = exchange.request;
      if (cookieWhen && !atOnce(cookieWhen(request))) return headers;
      const facts = this.#facts;
      readHeaders(request.rawHeaders, facts);
      const known = cookie.read(facts.cookie);
      if (known !== null) {
        exchange.visitor = known;
        return headers;
      }
      const response = exchange.response!;
      const control = headerIn(headers, 'cache-control') ?? response.getHeader('cache-control');
      if (control !== undefined && isShareable(String(control))) return headers;
      const visitor = cookie.issue();
      const line = cookie.serialize(visitor, this.#isSecure(exchange, facts));
      const result = withCookie(response, headers, line);
      exchange.visitor = visitor;
      return result;
    } catch (error) {
      onError('cookie', error);
      return headers;
    }
  }

  #forget(exchange: Exchange, response: Response): void {
    const { connection } = exchange;
    if (connection === undefined || connection.exchange !== exchange) {
      connection?.remove(exchange);
      // Others on the same response are still under way.
      if (exchange.next === undefined) keepOn(response, undefined);
    }
    exchange.response = undefined;
  }

  #record(exchange: Exchange, status: number, bytes: number, response?: Response): void {
    if (this.#stopped) {
      this.#journal.uncaptured += 1;
      return;
    }
    try {
      if (!this.#options.views.tracks(exchange)) return;
      const facts = this.#facts;
      facts.status = status;
      facts.contentLength = bytes;
      this.#read(exchange, response);
      this.#journal.append(facts);
    } catch (error) {
      this.#journal.uncaptured += 1;
      this.#options.onError('capture', error);
    }
  }

  /** Reads everything into `#facts`, made fit to be stored. */
  #read(exchange: Exchange, response: Response | undefined): void {
    const facts = this.#facts;
    const { request, reader, connection, target } = exchange;
    const { redact } = this.#options;
    facts.date = exchange.date;
    facts.duration = Math.round((performance.now() - exchange.started) * 1000);
    readHeaders(request.rawHeaders, facts);
    let scheme = connection?.scheme ?? 'https://';
    let host = facts.host;
    facts.remoteAddr = connection?.address ?? '';
    if (facts.forwardedFor !== '' || facts.forwardedProto !== '' || facts.forwardedHost !== '') {
      const trusts = (address: string, hop: number) => this.#trusts(exchange, address, hop);
      if (facts.forwardedFor !== '') facts.remoteAddr = this.#clientAddress(facts, trusts);
      if (trusts(connection?.address ?? '', 0)) {
        if (facts.forwardedProto !== '')
          scheme = firstOf(facts.forwardedProto) === 'https' ? 'https://' : 'http://';
        if (facts.forwardedHost !== '') host = firstOf(facts.forwardedHost);
      }
    }
    facts.remoteAddr = unmapped(facts.remoteAddr);
    if (this.#options.anonymizeIp) this.#anonymize(facts);
    facts.url = cut(
      redact(target.charCodeAt(0) === SLASH ? scheme + host + target : absolute(scheme, host, target)),
      TEXT_LIMITS.url,
    );
    facts.method = cut(request.method ?? '', TEXT_LIMITS.method);
    facts.protocol =
      PROTOCOLS[request.httpVersion] ?? cut(`HTTP/${request.httpVersion}`, TEXT_LIMITS.protocol);
    facts.agent = cut(facts.agent, TEXT_LIMITS.agent);
    facts.acceptLanguage =
      facts.acceptLanguage.length > TEXT_LIMITS.acceptLanguage
        ? facts.acceptLanguage.slice(0, TEXT_LIMITS.acceptLanguage)
        : facts.acceptLanguage;
    facts.referrer = facts.referrer === '' ? '' : cut(redact(facts.referrer), TEXT_LIMITS.referrer);
    facts.forwardedFor = cut(facts.forwardedFor, TEXT_LIMITS.forwardedFor);
    facts.credentials = facts.authorization !== '';
    facts.username = this.#username(request, facts.authorization);
    facts.visitor = exchange.visitor;
    if (response === undefined) {
      // It left before its headers; a known visitor is still one.
      if (facts.visitor === '') facts.visitor = this.#knownVisitor(exchange, facts);
    }
    facts.route = cut(reader.route(request), TEXT_LIMITS.route);
    facts.blueprint = facts.route === '' ? '' : cut(reader.blueprint(request), TEXT_LIMITS.blueprint);
    facts.extra = this.#extraOf(facts.route === '' ? undefined : reader.routeParams(request), request);
  }

  #extraOf(routeParams: object | undefined, request: Request): string {
    const noted = this.#vars.peek(request);
    const keys = this.#options.closures.length === 0 ? '' : this.#keysOf(routeParams, noted);
    return extraOf(routeParams, noted, keys, this.#onVars);
  }

  /** JSON of the keys in the summaries whose key is a closure. */
  #keysOf(routeParams: object | undefined, vars: Record<string, unknown> | undefined): string {
    const { closures, names, onError } = this.#options;
    const record = capturedRecord(this.#facts, names, routeParams, vars);
    const keys: Record<string, string[]> = {};
    for (const { name, key } of closures) {
      try {
        const found = keysOf(key!(record));
        if (found.length > 0) keys[name] = found;
      } catch (error) {
        onError(`the key of the summary "${name}"`, error);
      }
    }
    return jsonOf(keys, TEXT_LIMITS.keys, (error) =>
      onError("a request's keys in the app's own summaries, which were left out,", error),
    );
  }

  /** A setting that throws, or that needs time, trusts nobody. */
  #trusts({ reader, request }: Exchange, address: string, hop: number): boolean {
    try {
      return atOnce(reader.trusts(request, address, hop));
    } catch (error) {
      this.#options.onError('the trust setting', error);
      return false;
    }
  }

  #clientAddress(facts: HeaderFacts & Facts, trusts: (address: string, hop: number) => boolean): string {
    const peer = facts.remoteAddr;
    try {
      // The library wants a request; these are the parts that it looks at.
      const request = {
        headers: { 'x-forwarded-for': facts.forwardedFor },
        socket: { remoteAddress: peer },
        connection: { remoteAddress: peer },
      };
      const address = proxyAddr(request as unknown as Parameters<typeof proxyAddr>[0], trusts);
      if (address !== undefined && isIP(address) !== 0) return address;
    } catch {
      // An entry that is no address.
    }
    // The peer is what is known.
    return peer;
  }

  #anonymize(facts: Facts): void {
    facts.remoteAddr = facts.remoteAddr === '' ? '' : (anonymizeIp(facts.remoteAddr) ?? '');
    if (facts.forwardedFor !== '') facts.forwardedFor = anonymizeForwarded(facts.forwardedFor);
  }

  #username(request: Request, authorization: string): string {
    const { username, onError } = this.#options;
    if (username) {
      try {
        const name = atOnce(username(request));
        return typeof name === 'string' ? cut(name, TEXT_LIMITS.username) : '';
      } catch (error) {
        onError('username', error);
        return '';
      }
    }
    // RFC 7617: Basic base64(user-id ":" password)
    if (authorization === '' || !/^basic /i.test(authorization)) return '';
    const text = Buffer.from(authorization.slice(6).trim(), 'base64').toString();
    const colon = text.indexOf(':');
    return colon < 1 ? '' : cut(text.slice(0, colon), TEXT_LIMITS.username);
  }

  #knownVisitor(exchange: Exchange, facts: HeaderFacts): string {
    const { cookie, cookieWhen, onError } = this.#options;
    if (!cookie || exchange.cookieSeen || facts.cookie === '') return '';
    try {
      if (cookieWhen && !atOnce(cookieWhen(exchange.request))) return '';
    } catch (error) {
      onError('cookie', error);
      return '';
    }
    return cookie.read(facts.cookie) ?? '';
  }

  #isSecure(exchange: Exchange, facts: HeaderFacts): boolean {
    if (exchange.connection?.scheme !== 'http://') return true;
    if (facts.forwardedProto === '' || firstOf(facts.forwardedProto) !== 'https') return false;
    return this.#trusts(exchange, exchange.connection.address, 0);
  }
}

const SLASH = 47;
/** Stands for the response that an upgraded request never gets. */
const UPGRADED = {} as Response;
const PROTOCOLS: Record<string, string> = { '1.1': 'HTTP/1.1', '1.0': 'HTTP/1.0', '2.0': 'HTTP/2.0' };

/** The URL of a target that is no path: absolute, `*` (OPTIONS), or an authority (CONNECT). */
function absolute(scheme: string, host: string, target: string): string {
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(target)) return target;
  return target === '*' || target === '' ? `${scheme}${host}/${target}` : `${scheme}${target}`;
}

/** An IPv4 address as IPv4, also on a socket that serves both (`::ffff:192.0.2.1`). */
function unmapped(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

function firstOf(list: string): string {
  const comma = list.indexOf(',');
  return (comma < 0 ? list : list.slice(0, comma)).trim();
}

/** Adds a cookie to those that the app sets, wherever it sets them. */
function withCookie(response: Response, headers: unknown, line: string): unknown {
  const given = headerIn(headers, 'set-cookie');
  if (given === undefined) {
    const before = response.getHeader('set-cookie');
    response.setHeader('set-cookie', before === undefined ? line : [before, line].flat().map(String));
    return headers;
  }
  if (Array.isArray(headers)) {
    return Array.isArray(headers[0]) ? [...headers, ['set-cookie', line]] : [...headers, 'set-cookie', line];
  }
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(headers as Record<string, unknown>)) {
    if (name.toLowerCase() !== 'set-cookie') copy[name] = value;
  }
  copy['set-cookie'] = [given, line].flat();
  return copy;
}
