/** Fields of the records that can be left out. `true` stores a field; all default to `true`. */
export interface StoredFields {
  /** IP address of the client. The country is still looked up, unless `geo` is false. */
  remoteAddr?: boolean;
  /** X-Forwarded-For and `Forwarded`. */
  forwardedFor?: boolean;
  /**
   * User agent. `'reduced'` stores the name, the major version and the platform: `Chrome/126 (Windows)`. `false` stores
   * nothing of it, so that records and totals do not distinguish bots from people.
   */
  userAgent?: boolean | 'reduced';
  /** Preferred language. */
  language?: boolean;
  /** Referrer. */
  referrer?: boolean;
  /** Name of the user. */
  username?: boolean;
}

/** Fields that are read from a request. */
export type FieldChoice = Readonly<Record<keyof StoredFields, boolean>>;

export const FIELD_NAMES = [
  'remoteAddr',
  'forwardedFor',
  'userAgent',
  'language',
  'referrer',
  'username',
] as const satisfies readonly (keyof StoredFields)[];

/** Returns a choice of fields. */
export function chooseFields(isChosen: (name: keyof StoredFields) => boolean): FieldChoice {
  return Object.fromEntries(FIELD_NAMES.map((name) => [name, isChosen(name)])) as FieldChoice;
}

/** Fields of an anonymous request: none. */
export const NO_FIELDS: FieldChoice = chooseFields(() => false);
