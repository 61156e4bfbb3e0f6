/** Wrangler imports WebAssembly files as compiled modules (`[[rules]]` in wrangler.toml). */
declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}
