#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attributes;
mod input;
mod names;
mod output;
mod shape;

use proc_macro::TokenStream;

/// The fields, indexes and rules of a typed collection; see `collection_store::Document`.
#[proc_macro_derive(Document, attributes(document))]
pub fn derive_document(input: TokenStream) -> TokenStream {
    let parsed = syn::parse(input).and_then(|input| input::Struct::of(&input));
    match parsed {
        Ok(parsed) => output::implementation(&parsed).into(),
        Err(error) => error.to_compile_error().into(),
    }
}
