//! What several sources say of one caller.

use policy_core::{
    BasisSet, Caller, Countries, Country, Identity, PrincipalKind, Pseudonym, ResidencySource,
};

/// What one source says of a caller whom it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What the caller is.
    pub kind: PrincipalKind,
    /// Where the caller resides.
    pub country: Told,
}

/// What a source says of a country.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// This one.
    Country(Country),
    /// Something that names none.
    Unreadable,
    /// Nothing.
    Nothing,
}

/// What sources have said so far.
#[derive(Debug, Clone, Copy)]
pub struct Gathered {
    kind: Option<PrincipalKind>,
    /// What was said of callers whose own data it is.
    own: Countries,
    /// Who said something of a country first.
    source: Option<ResidencySource>,
    is_unreadable: bool,
    /// Where whoever the path names resides.
    resource: Option<Country>,
    pseudonym: Option<Pseudonym>,
    bases: BasisSet,
}

impl Default for Gathered {
    fn default() -> Self {
        Self {
            kind: None,
            own: Countries::NONE,
            source: None,
            is_unreadable: false,
            resource: None,
            pseudonym: None,
            bases: BasisSet::EMPTY,
        }
    }
}

impl Gathered {
    /// One more source has answered. Whoever is a customer by one source and something else by
    /// another is the latter: the data may be anybody's then.
    pub fn add(&mut self, source: ResidencySource, answer: Answer) {
        match self.kind {
            None | Some(PrincipalKind::Customer) => self.kind = Some(answer.kind),
            Some(_) => {}
        }
        if answer.kind != PrincipalKind::Customer {
            return;
        }
        match answer.country {
            Told::Country(country) => self.own = self.own.with(country),
            Told::Unreadable => self.is_unreadable = true,
            Told::Nothing => return,
        }
        self.source = self.source.or(Some(source));
    }

    /// Stands for the caller from now on, unless something does already.
    pub fn call(&mut self, pseudonym: Option<Pseudonym>) {
        self.pseudonym = self.pseudonym.or(pseudonym);
    }

    /// Whether something stands for the caller.
    pub fn is_called(&self) -> bool {
        self.pseudonym.is_some()
    }

    /// A claim grants these transfer bases.
    pub fn grant(&mut self, bases: BasisSet) {
        self.bases = bases;
    }

    /// Whether the caller is known to act for others.
    pub fn acts_for_others(&self) -> bool {
        self.kind.is_some_and(|kind| kind != PrincipalKind::Customer)
    }

    /// Whoever the path names resides there.
    pub fn about(&mut self, country: Country) {
        self.resource = Some(country);
    }

    /// The caller.
    pub fn caller(self) -> Caller {
        let Some(kind) = self.kind else { return Caller::Anonymous };
        let (countries, source) = match (kind, self.resource) {
            // What cannot be read must not widen what a readable answer would allow.
            (PrincipalKind::Customer, _) if self.is_unreadable => (Countries::NONE, self.source),
            (PrincipalKind::Customer, _) => (self.own, self.source),
            // Where somebody resides who acts for others says nothing of those.
            (_, None) => (Countries::NONE, None),
            (_, Some(country)) => {
                let all = self.own.iter().fold(Countries::of(country), Countries::with);
                (all, Some(ResidencySource::Resource))
            }
        };
        let Self { pseudonym, bases, .. } = self;
        Caller::Known(Identity { kind, countries, source, bases, pseudonym })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PrincipalKind::{Customer, Other, Service, Staff};
    use ResidencySource::{JwtClaim, Resource, Session, Tenant};

    fn told(code: &str) -> Told {
        match code {
            "" => Told::Nothing,
            "?" => Told::Unreadable,
            code => Told::Country(Country::parse(code.as_bytes()).unwrap()),
        }
    }

    #[test]
    fn sources_are_put_together() {
        for (answers, resource, kind, countries, source, why) in [
            (&[(JwtClaim, Customer, "JP")][..], "", Customer, "JP", Some(JwtClaim), "one"),
            (
                &[(JwtClaim, Customer, "JP"), (Session, Customer, "JP")],
                "",
                Customer,
                "JP",
                Some(JwtClaim),
                "they agree",
            ),
            (
                &[(Session, Customer, "TW"), (JwtClaim, Customer, "JP"), (Tenant, Customer, "KR")],
                "",
                Customer,
                "TW JP KR",
                Some(Session),
                "they do not",
            ),
            (
                &[(JwtClaim, Customer, ""), (Session, Customer, "JP")],
                "",
                Customer,
                "JP",
                Some(Session),
                "the first says nothing",
            ),
            (
                &[(JwtClaim, Customer, "?"), (Session, Customer, "JP")],
                "",
                Customer,
                "",
                Some(JwtClaim),
                "the first says what nobody can read",
            ),
            (
                &[(Session, Customer, "JP"), (JwtClaim, Customer, "?")],
                "",
                Customer,
                "",
                Some(Session),
                "so does the second",
            ),
            (&[(JwtClaim, Customer, "")], "", Customer, "", None, "nobody says anything"),
            (&[(JwtClaim, Staff, "JP")], "", Staff, "", None, "staff, of nobody"),
            (&[(JwtClaim, Staff, "JP")], "TW", Staff, "TW", Some(Resource), "staff, of somebody"),
            (
                &[(Session, Customer, "JP"), (JwtClaim, Staff, "JP")],
                "",
                Staff,
                "",
                None,
                "staff with a session of their own prove nothing of others",
            ),
            (
                &[(JwtClaim, Staff, ""), (Session, Customer, "JP")],
                "TW",
                Staff,
                "TW JP",
                Some(Resource),
                "both have to allow it",
            ),
            (&[(JwtClaim, Other, ""), (Tenant, Service, "")], "", Other, "", None, "first kind"),
            (&[(JwtClaim, Customer, "JP")], "TW", Customer, "JP", Some(JwtClaim), "not asked"),
        ] {
            let mut gathered = Gathered::default();
            for (source, kind, country) in answers {
                gathered.add(*source, Answer { kind: *kind, country: told(country) });
            }
            if let Told::Country(country) = told(resource) {
                gathered.about(country);
            }
            let Caller::Known(identity) = gathered.caller() else { panic!("{why}") };
            let all: Vec<String> =
                identity.countries.iter().map(|country| country.as_str().into()).collect();
            assert_eq!((identity.kind, all.join(" ").as_str()), (kind, countries), "{why}");
            assert_eq!(identity.source, source, "{why}");
        }
        assert_eq!(Gathered::default().caller(), Caller::Anonymous);
    }
}
