import { Component, type ComponentChildren } from 'preact';
import { Problem } from './problem.tsx';

interface State {
  error: Error | null;
}

/** Where a part of the page fails, it says so in its place, and the others go on. */
export class Boundary extends Component<{ children: ComponentChildren }, State> {
  override state: State = { error: null };

  static override getDerivedStateFromError(error: Error): State {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return <Problem error={error} onRetry={() => this.setState({ error: null })} />;
  }
}
