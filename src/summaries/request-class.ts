import { type CapturedRecord, REQUEST_CLASSES, type RequestClass } from '../record.ts';

/** Function that returns the class of a request. Without a valid result, the default class stays. */
export type ClassifyFunction = (record: CapturedRecord) => RequestClass | null | undefined;

/** Code of a response without Content-Type. */
const NO_TYPE = 4;
/** Code of a class that the option `classify` returned, less that of the same class by Content-Type. */
const CHOSEN = 4;
/** Maximum number of Content-Types that are remembered. An app may add a random boundary to them. */
const MAX_REMEMBERED = 200;

const PAGE = /^(?:text\/html|application\/xhtml\+xml)\b/;
const ASSET =
  /^(?:(?:image|font|audio|video|model)\/|text\/(?:css|javascript|ecmascript|vtt)\b|application\/(?:(?:x-)?javascript|ecmascript|wasm|manifest\+json|pdf|zip|gzip|x-font|font-|vnd\.ms-fontobject))/;
/** Ends of paths to files that pages load, or that people download. */
const ASSET_PATH =
  /\.(?:css|m?js|map|png|jpe?g|gif|webp|avif|svgz?|ico|bmp|woff2?|ttf|otf|eot|mp[34]|m4[av]|webm|og[gv]|wav|flac|wasm|webmanifest|pdf|zip|gz|txt)$/i;
const API_PATH = /^\/(?:api|graphql|rpc|trpc)(?:\/|$)|\.(?:json|xml)$/i;

const codes = new Map<string, number>();

/** Returns the code of a Content-Type, which may be `''`: a number from 1 to 4, which a journal stores. */
export function codeOfType(contentType: string): number {
  if (contentType === '') return NO_TYPE;
  let code = codes.get(contentType);
  if (code === undefined) {
    const type = contentType.trim().toLowerCase();
    code = codeOf(PAGE.test(type) ? 'page' : ASSET.test(type) ? 'asset' : 'api');
    if (codes.size >= MAX_REMEMBERED) codes.clear();
    codes.set(contentType, code);
  }
  return code;
}

/** Returns the code of a class that the option `classify` returned: a number from 5 to 7. */
export function codeOfChoice(chosen: RequestClass): number {
  return CHOSEN + codeOf(chosen);
}

function codeOf(found: RequestClass): number {
  return REQUEST_CLASSES.indexOf(found) + 1;
}

/** Request whose class is determined. */
export interface Classified {
  /** Code of the Content-Type or of a choice. */
  code: number;
  method: string;
  path: string;
  status: number;
}

/**
 * Returns the class of a request. It is that of the Content-Type, except that the path decides for errors, whose body is
 * often a page of the framework, and for plain files.
 */
export function classOf({ code, method, path, status }: Classified): RequestClass {
  if (code > CHOSEN) return REQUEST_CLASSES[code - CHOSEN - 1]!;
  const byType = REQUEST_CLASSES[code - 1];
  const isByPath = byType === undefined || status >= 400;
  if ((isByPath || byType === 'api') && ASSET_PATH.test(path)) return 'asset';
  if (isByPath && API_PATH.test(path)) return 'api';
  return byType ?? (method === 'GET' || method === 'HEAD' ? 'page' : 'api');
}
