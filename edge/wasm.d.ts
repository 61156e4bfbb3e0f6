/** Wrangler imports WebAssembly files as compiled modules (its default rule for .wasm). */
declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}
