//! Whom a request is about.

use super::Judgement;
use crate::caller::{Caller, Countries, Evidence, Identity};
use crate::decision::Decision;
use crate::reason::Reason;
use crate::residency::Subject;
use crate::trace::{Step, Trace};
use crate::vocabulary::{OnUnknownSubject, PrincipalKind, ResidencySource, SubjectMode};

impl<'p> Judgement<'p, '_> {
    /// Whom the request is about.
    pub(super) fn subject(
        &self,
        decision: &mut Decision<'p>,
        evidence: &mut impl Evidence,
        trace: &mut impl Trace<'p>,
    ) -> Result<Subject, Reason> {
        let mode = self.context.subject;
        if mode == SubjectMode::None {
            trace.see(Step::Subject { mode, caller: None, about: Ok(Subject::Nobody) });
            return Ok(Subject::Nobody);
        }
        let is_needed = mode == SubjectMode::SelfCaller;
        let segment = |segment| self.request.path.segments().nth(segment);
        let resource = self.found.resource_segment.and_then(segment);
        let caller = evidence.caller(self.policy, resource);
        let about = match caller {
            Caller::Unreadable => Err(Reason::HostFailure),
            // Whoever shows a session that is over has to be told where that matters.
            Caller::Refused if is_needed || self.context.residency().depends_on_country() => {
                Err(Reason::CredentialsMissing)
            }
            Caller::Anonymous if is_needed => Err(Reason::CredentialsMissing),
            Caller::Anonymous | Caller::Refused => Ok(self.open(&caller, decision)),
            Caller::Known(identity) => {
                decision.identity = Some(identity);
                decision.countries = identity.countries;
                decision.source = identity.source;
                match self.open(&caller, decision) {
                    Subject::Unknown => self.about(&identity, is_needed),
                    known => Ok(known),
                }
            }
        };
        trace.see(Step::Subject { mode, caller: Some(caller), about });
        about
    }

    /// Whom a request is about of which no source says anything: somebody of the context's default
    /// country, where it has one for such callers.
    fn open(&self, caller: &Caller, decision: &mut Decision<'p>) -> Subject {
        let Some(country) = self.context.default_for(caller) else { return Subject::Unknown };
        decision.countries = Countries::of(country);
        decision.source = Some(ResidencySource::Default);
        Subject::Of(decision.countries)
    }

    /// Whom a request of somebody known is about.
    fn about(&self, identity: &Identity, is_needed: bool) -> Result<Subject, Reason> {
        if identity.countries.first().is_some() {
            return Ok(Subject::Of(identity.countries));
        }
        if identity.kind != PrincipalKind::Customer {
            return if is_needed { Err(Reason::SubjectUnproven) } else { Ok(Subject::Unknown) };
        }
        // Whoever has a country has to say which where that makes a difference: an unreadable claim
        // must not widen what a readable one allows.
        if !is_needed && !self.context.residency().depends_on_country() {
            return Ok(Subject::Unknown);
        }
        match self.context.on_unknown {
            OnUnknownSubject::Deny => Err(Reason::SubjectUnknown),
            OnUnknownSubject::Strictest => Ok(Subject::Strictest),
            OnUnknownSubject::EntryRegion => {
                let entry = self.request.entry.unwrap_or(self.policy.here());
                let country = self.policy.jurisdiction(entry).ok_or(Reason::SubjectUnknown)?;
                Ok(Subject::Of(Countries::of(country)))
            }
        }
    }
}
