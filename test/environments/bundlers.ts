import { build } from 'esbuild-wasm';
import { rolldown } from 'rolldown';
import webpack from 'webpack';

export interface Bundling {
  input: string;
  output: string;
  format: 'esm' | 'cjs';
  /** Keeps track-usage external; `half`: only its main entry. */
  external: boolean | 'half';
}

/** Bundles an app into one file; with `external`, as documented. */
export const BUNDLERS: Record<string, (bundling: Bundling) => Promise<unknown>> = {
  esbuild: ({ input, output, format, external }) =>
    build({
      entryPoints: [input],
      outfile: output,
      bundle: true,
      platform: 'node',
      format,
      external: external ? ['track-usage'] : [],
      logLevel: 'silent',
    }),

  async rolldown({ input, output, format, external }) {
    await using bundle = await rolldown({
      input,
      platform: 'node',
      external: external === 'half' ? ['track-usage'] : external ? [/^track-usage/] : [],
      logLevel: 'silent',
    });
    await bundle.write({ file: output, format, codeSplitting: false });
  },

  webpack: ({ input, output, format, external }) =>
    new Promise<void>((resolve, reject) => {
      const esm = format === 'esm';
      const slash = output.lastIndexOf('/');
      const compiler = webpack({
        mode: 'production',
        target: 'node22',
        entry: input,
        externals: external ? [/^track-usage/] : [],
        externalsType: esm ? 'module' : 'commonjs',
        experiments: { outputModule: esm },
        output: { path: output.slice(0, slash), filename: output.slice(slash + 1), module: esm },
      });
      compiler.run((error, stats) => {
        if (error || stats?.hasErrors()) reject(error ?? new Error(stats!.toString()));
        else compiler.close(() => resolve());
      });
    }),
};
