//! Values of flags that have names: parsed by their own type, known to completions and help.

use std::{ffi::OsStr, fmt::Display, marker::PhantomData, str::FromStr};

use clap::{
    Arg, Command, Error,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
    error::ErrorKind,
};

/// Parses a `T` from one of its names. What is wrong with another name, `T` itself says best.
#[derive(Debug, Clone)]
pub(crate) struct NamedValue<T> {
    names: Vec<&'static str>,
    parsed: PhantomData<T>,
}

impl<T> NamedValue<T> {
    pub(crate) fn of(names: impl IntoIterator<Item = &'static str>) -> Self {
        Self { names: names.into_iter().collect(), parsed: PhantomData }
    }
}

impl<T> TypedValueParser for NamedValue<T>
where
    T: FromStr + Clone + Send + Sync + 'static,
    T::Err: Display,
{
    type Value = T;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let text = StringValueParser::new().parse_ref(command, argument, value)?;
        text.parse().map_err(|error: T::Err| {
            let flag = argument.map_or_else(String::new, |argument| format!(" for '{argument}'"));
            let message = format!("invalid value '{text}'{flag}: {error}\n");
            Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.names.iter().copied().map(PossibleValue::new)))
    }
}
