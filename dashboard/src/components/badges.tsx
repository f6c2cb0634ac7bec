import type { UsageStatus } from '../api/types.ts';
import type { LiveState } from '../api/use-live.ts';
import { healthOf } from '../format/health.ts';
import { usePage } from '../state/context.ts';
import { Popover } from './popover.tsx';
import { VerifyButton } from './verify-button.tsx';

const LIVE = {
  connecting: { level: 'warn', label: 'Connecting' },
  connected: { level: 'good', label: 'Live' },
  paused: { level: 'none', label: 'Paused' },
  lost: { level: 'bad', label: 'Offline' },
} as const;

interface LiveBadgeProps {
  state: LiveState;
  isWanted: boolean;
  onToggle(): void;
}

/** Shows whether new requests appear automatically. */
export function LiveBadge({ state, isWanted, onToggle }: LiveBadgeProps) {
  const { level, label } = LIVE[state];
  return (
    <button
      type="button"
      class={`badge ${level}`}
      aria-pressed={isWanted}
      title={isWanted ? 'New requests appear automatically. Click to pause.' : 'Paused. Click to resume.'}
      onClick={onToggle}
    >
      <span class={`dot ${state === 'connected' ? 'pulse' : ''}`} />
      {label}
    </button>
  );
}

/** Shows whether the data is complete and current, and otherwise the problem. */
export function HealthBadge({ status }: { status: UsageStatus | null }) {
  const { site } = usePage();
  const { level, label, lines } = healthOf(status, site.retention);
  return (
    <Popover
      class={`badge ${level}`}
      label={
        <>
          <span class="dot" />
          {label}
        </>
      }
    >
      {() => (
        <div class="lines">
          <ul class="lines">
            {lines.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
          {site.verify && <VerifyButton />}
        </div>
      )}
    </Popover>
  );
}
