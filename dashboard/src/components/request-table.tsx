import { MEASURE_LABELS } from '../../../src/formats/labels.ts';
import type { RecordJson, RecordsResult } from '../api/types.ts';
import { showInstant } from '../format/dates.ts';
import { countryName, type KeyText, keyTexts, visible } from '../format/keys.ts';
import { bytes, duration, integer, quantity } from '../format/numbers.ts';
import { KeyLabel } from './key-label.tsx';

/** Requests, newest first. */
export function RequestTable({ pages }: { pages: readonly RecordsResult[] }) {
  const records = pages.flatMap((page) => page.records);
  const timeZone = pages[0]?.timeZone ?? 'UTC';
  const texts = keyTexts(
    'urls',
    records.map(({ url }) => url),
  );
  if (records.length === 0) return <p class="nothing">No requests in this range.</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: makes the table scrollable with the keyboard
    <section class="scroll" tabIndex={0} aria-label="Table of requests">
      <table class="records">
        <caption class="hidden">Requests, newest first</caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Status</th>
            <th scope="col">Request</th>
            <th scope="col" class="number">
              {MEASURE_LABELS.duration}
            </th>
            <th scope="col" class="number">
              {MEASURE_LABELS.transfer}
            </th>
            <th scope="col">IP address</th>
            <th scope="col">Browser</th>
          </tr>
        </thead>
        <tbody>
          {records.map((record, index) => (
            <Request key={index} {...{ record, timeZone }} text={texts[index]!} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface RequestProps {
  record: RecordJson;
  timeZone: string;
  text: KeyText;
}

function Request({ record, timeZone, text }: RequestProps) {
  const { status, method, contentLength, remoteAddr, country, userAgent, bot } = record;
  const date = showInstant(record.date, timeZone);
  const place = country === null ? null : countryName(country);
  const browser = [userAgent?.browser ?? userAgent?.string ?? '–', userAgent?.platform]
    .filter(Boolean)
    .join(', ');
  return (
    <tr>
      <td class="when" title={date.full}>
        {date.text}
      </td>
      <td>
        <span class={`status s${String(status)[0]}`}>{status}</span>
      </td>
      <td>
        <span class="request">
          <span class="muted method">{visible(method.slice(0, 20))}</span>
          <KeyLabel {...text} />
        </span>
      </td>
      <td class="number" title={`${integer(record.duration)} µs`}>
        {duration(record.duration)}
      </td>
      <td class="number" title={quantity(contentLength, 'byte')}>
        {bytes(contentLength)}
      </td>
      <td class="address" title={place ?? undefined}>
        {remoteAddr === null ? '–' : visible(remoteAddr.slice(0, 60))}
        {country !== null && <span class="muted"> {visible(country.slice(0, 8))}</span>}
      </td>
      <td class="browser" title={userAgent?.string}>
        {bot && <span class="tag">bot</span>}
        {visible(browser.slice(0, 80))}
      </td>
    </tr>
  );
}
