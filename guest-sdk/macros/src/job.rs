//! `fn clicks() -> Job` becomes `fn clicks<'batch>(call: Call<'batch>) -> Job<'batch>`: the chain
//! is built anew for each call, so what it yields may borrow from that call's batch. For wasm the
//! component's exports are added.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, ItemFn, LitStr, PathArguments, Result, ReturnType, Type, parse_quote_spanned};

const NAME_CHARS_MAX: usize = 64;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item)?;
    let name = name(arguments, &function)?;
    let job = returned(&function)?;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = &function;
    let ident = &sig.ident;
    let exports = exports(&function);
    // Names that no function of the author's has: the chain may use one that is called `call`.
    let call = Ident::new("__call", Span::mixed_site());
    let build = Ident::new("__build", Span::mixed_site());
    Ok(quote! {
        #(#attrs)*
        #vis fn #ident<'batch>(#call: ::streamhost::Call<'batch>) -> #job {
            fn #build<'batch>() -> #job #block
            #call.named(#name, #build())
        }
        #exports
    })
}

fn exports(function: &ItemFn) -> TokenStream {
    let ident = &function.sig.ident;
    let once = Ident::new("a_crate_has_one_job", ident.span());
    quote! {
        // A crate is one component. Two in a module are told by this name; tests may have many.
        #[cfg(not(test))]
        #[allow(dead_code, non_camel_case_types, reason = "it is there to be there once")]
        struct #once;
        // Tests are all that calls a job off wasm; without any it is not dead code either.
        #[cfg(not(target_family = "wasm"))]
        const _: for<'batch> fn(::streamhost::Call<'batch>) -> ::streamhost::Job<'batch> = #ident;
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Component;
            impl ::streamhost::component::Guest for Component {
                fn describe() -> ::core::result::Result<::streamhost::component::Description, ::std::string::String> {
                    ::streamhost::component::describe(#ident)
                }
                fn transform(
                    stage: u32,
                    moment: ::streamhost::component::Moment,
                    records: ::streamhost::component::Records,
                ) -> ::streamhost::component::Output {
                    ::streamhost::component::transform(#ident, stage, moment, records)
                }
                fn combine(
                    stage: u32,
                    partials: ::streamhost::component::Partials,
                ) -> ::streamhost::component::Items {
                    ::streamhost::component::combine(#ident, stage, partials)
                }
                fn finish(
                    stage: u32,
                    moment: ::streamhost::component::Moment,
                    finished: ::streamhost::component::Finished,
                ) -> ::streamhost::component::Output {
                    ::streamhost::component::finish(#ident, stage, moment, finished)
                }
                fn process(
                    stage: u32,
                    moment: ::streamhost::component::Moment,
                    keys: ::streamhost::component::KeyItems,
                ) -> ::streamhost::component::Processed {
                    ::streamhost::component::process(#ident, stage, moment, keys)
                }
                fn migrate(
                    stage: u32,
                    accumulators: ::streamhost::component::Items,
                ) -> ::streamhost::component::Items {
                    ::streamhost::component::migrate(#ident, stage, accumulators)
                }
            }
            ::streamhost::component::export!(Component with_types_in ::streamhost::component::bindings);
        };
    }
}

/// The return type, with the call's lifetime. As written by the author, so that rustc knows that
/// `Job` is used, and points to it where the function yields something else.
fn returned(function: &ItemFn) -> Result<Type> {
    let sig = &function.sig;
    if !sig.inputs.is_empty() {
        return Err(Error::new(
            sig.inputs.span(),
            "a job takes no arguments: its settings are the host's",
        ));
    }
    if !sig.generics.params.is_empty() {
        return Err(Error::new(
            sig.generics.span(),
            "a job is not generic: it is one component",
        ));
    }
    if let Some(asyncness) = &sig.asyncness {
        return Err(Error::new(
            asyncness.span(),
            "a job is not `async`: it sees its batch and waits for nothing",
        ));
    }
    let no_job = |span| Error::new(span, "a job returns `Job`: end its chain in `.to(…)`");
    let ReturnType::Type(_, returned) = &sig.output else {
        return Err(no_job(sig.span()));
    };
    let Type::Path(mut path) = (**returned).clone() else {
        return Err(no_job(returned.span()));
    };
    let Some(last) = path.path.segments.last_mut() else {
        return Err(no_job(returned.span()));
    };
    let span = last.span();
    last.arguments = PathArguments::AngleBracketed(parse_quote_spanned! { span => <'batch> });
    Ok(Type::Path(path))
}

fn name(arguments: TokenStream, function: &ItemFn) -> Result<String> {
    let mut given: Option<LitStr> = None;
    let parser = syn::meta::parser(|meta| {
        if !meta.path.is_ident("name") {
            return Err(meta.error("known here: name = \"…\""));
        }
        given = Some(meta.value()?.parse()?);
        Ok(())
    });
    syn::parse::Parser::parse2(parser, arguments)?;
    let ident = &function.sig.ident;
    let (name, span) = match &given {
        Some(literal) => (literal.value(), literal.span()),
        None => (ident.to_string(), ident.span()),
    };
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.chars().all(fits)
        && !name.starts_with(['-', '_'])
    {
        return Ok(name);
    }
    let message = format!(
        "a job cannot be called `{name}`: 1 to {NAME_CHARS_MAX} lower-case letters, digits, and behind the first of these `-` and `_`; \
         `#[job(name = \"…\")]` gives a name other than the function's"
    );
    Err(Error::new(span, message))
}
