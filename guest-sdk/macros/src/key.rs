//! The derived `Key`: its fields' bytes, one after the other.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, GenericParam, Lifetime, Member, Result, Type, parse_quote};

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    let no_struct = || {
        Error::new(
            input.ident.span(),
            "a key is a struct with at least one field",
        )
    };
    let Data::Struct(data) = &input.data else {
        return Err(no_struct());
    };
    let members: Vec<Member> = data.fields.members().collect();
    let types: Vec<_> = data.fields.iter().map(|field| &field.ty).collect();
    let Some((last, before)) = members.split_last() else {
        return Err(no_struct());
    };

    let batch = batch(&input)?;
    let mut generics = input.generics.clone();
    if input.generics.lifetimes().next().is_none() {
        generics.params.insert(0, parse_quote! { #batch });
    }
    let clause = generics.make_where_clause();
    for parameter in input.generics.type_params() {
        let ident = &parameter.ident;
        clause
            .predicates
            .push(parse_quote! { #ident: ::streamhost::Key<#batch> });
    }
    let (generics, _, clause) = generics.split_for_impl();
    let (name, arguments) = (&input.ident, input.generics.split_for_impl().1);

    let shapes = members.iter().zip(&types).map(|(member, ty)| {
        let label = match member {
            Member::Named(ident) => ident.to_string().trim_start_matches("r#").to_owned(),
            Member::Unnamed(index) => index.index.to_string(),
        };
        quote_spanned! { ty.span() => ::std::format!("{}:{}", #label, <#ty as ::streamhost::Key<#batch>>::shape()) }
    });
    let (last_type, before_types) = (types[before.len()], &types[..before.len()]);
    let alone = before
        .is_empty()
        .then(|| of_one_field(last, last_type, &batch));
    Ok(quote! {
        impl #generics ::streamhost::Key<#batch> for #name #arguments #clause {
            fn shape() -> ::std::string::String {
                ::std::format!("{{{}}}", [#(#shapes),*].join(","))
            }
            #[inline]
            fn write(&self, last: bool, out: &mut ::std::vec::Vec<u8>) {
                #(<#before_types as ::streamhost::Key<#batch>>::write(&self.#before, false, out);)*
                <#last_type as ::streamhost::Key<#batch>>::write(&self.#last, last, out);
            }
            #[inline]
            fn read(bytes: &mut &#batch [u8], last: bool) -> ::core::option::Option<Self> {
                ::core::option::Option::Some(Self {
                    #(#before: <#before_types as ::streamhost::Key<#batch>>::read(bytes, false)?,)*
                    #last: <#last_type as ::streamhost::Key<#batch>>::read(bytes, last)?,
                })
            }
            #alone
        }
    })
}

/// One field's bytes are the key's.
fn of_one_field(field: &Member, ty: &Type, batch: &Lifetime) -> TokenStream {
    quote! {
        #[inline]
        fn lend(&self) -> ::core::option::Option<&[u8]> {
            <#ty as ::streamhost::Key<#batch>>::lend(&self.#field)
        }
        fn from_text(
            text: &[u8],
            out: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), ::std::string::String> {
            <#ty as ::streamhost::Key<#batch>>::from_text(text, out)
        }
    }
}

/// The lifetime of what is borrowed: the struct's own, or one for it.
fn batch(input: &DeriveInput) -> Result<Lifetime> {
    let mut lifetimes = input
        .generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Lifetime(lifetime) => Some(&lifetime.lifetime),
            _ => None,
        });
    match (lifetimes.next(), lifetimes.next()) {
        (_, Some(second)) => Err(Error::new(
            second.span(),
            "a key borrows from its batch alone: one lifetime is enough",
        )),
        (Some(only), None) => Ok(only.clone()),
        (None, None) => Ok(parse_quote! { 'batch }),
    }
}
