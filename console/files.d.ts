/** Files that are bundled: style sheets are joined into one, others have an address. */
declare module '*.css';
declare module '*.wasm' {
  const address: string;
  // biome-ignore lint/style/noDefaultExport: that is how esbuild names it
  export default address;
}
