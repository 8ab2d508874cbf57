//! What our pages say, in each language that they speak.
//!
//! A table without gaps: a topic that lacks a language, or a language that lacks a topic, does not compile.
//!
//! Not here: the technical sentence below the advice, which is the error's own and English.

use super::Language;

/// One text in every language.
struct InEach<T> {
    en: T,
    es: T,
    de: T,
    fr: T,
}

impl<T> InEach<T> {
    fn of(self, language: Language) -> T {
        match language {
            Language::En => self.en,
            Language::Es => self.es,
            Language::De => self.de,
            Language::Fr => self.fr,
        }
    }
}

/// What a page says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// What has happened.
    pub title: &'static str,
    /// What the reader can do.
    pub advice: &'static str,
}

const fn words(title: &'static str, advice: &'static str) -> Words {
    Words { title, advice }
}

/// What a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A token is past its end.
    Expired,
    /// A token's time has not come.
    NotYetValid,
    /// A token is not ours, or was damaged.
    NotGenuine,
    /// Neither a link nor a session.
    NoSession,
    /// The browser keeps no cookie, as in some frames.
    CookiesBlocked,
    /// The room is no more.
    RoomClosed,
    /// The session has been renewed for as long as one may be.
    SessionOver,
    /// The reader has logged out.
    Left,
    /// A link of another session than the one that runs; buttons follow.
    Switch,
    /// Is the session to end? Buttons follow.
    Leave,
    /// Nothing behind us answers.
    ServerDown,
    /// A limit is reached.
    OverLimit,
    /// `custom_design` breaks a rule; what it is follows.
    BadDesign,
    /// Nothing at this address.
    NotFound,
    /// Refused to this reader, or to this way of asking.
    NotAllowed,
    /// A request that makes no sense.
    BadRequest,
    /// A link that is refused for a reason of its own.
    UnusableLink,
}

impl Topic {
    /// Its words.
    pub fn words(self, language: Language) -> Words {
        self.in_each().of(language)
    }

    #[expect(clippy::too_many_lines, reason = "a table")]
    fn in_each(self) -> InEach<Words> {
        match self {
            Self::Expired => InEach {
                en: words(
                    "This link has expired",
                    "Go back to where you got it and open the meeting from there again.",
                ),
                es: words(
                    "Este enlace ha caducado",
                    "Vuelva al lugar donde lo obtuvo y abra la reunión de nuevo desde allí.",
                ),
                de: words(
                    "Dieser Link ist abgelaufen",
                    "Gehen Sie dorthin zurück, wo Sie ihn bekommen haben, und öffnen Sie die Besprechung von dort aus \
                     erneut.",
                ),
                fr: words(
                    "Ce lien a expiré",
                    "Retournez là où vous l’avez obtenu et ouvrez de nouveau la réunion à partir de là.",
                ),
            },
            Self::NotYetValid => InEach {
                en: words(
                    "This link is not valid yet",
                    "Wait until the meeting begins and open the link again. If it should have begun, tell whoever runs \
                     it that a clock is wrong.",
                ),
                es: words(
                    "Este enlace todavía no es válido",
                    "Espere a que empiece la reunión y vuelva a abrir el enlace. Si ya debería haber empezado, avise a \
                     quien la organiza de que algún reloj no va en hora.",
                ),
                de: words(
                    "Dieser Link ist noch nicht gültig",
                    "Warten Sie, bis die Besprechung beginnt, und öffnen Sie den Link dann erneut. Wenn sie schon \
                     begonnen haben müsste, sagen Sie der Person, die sie veranstaltet, dass eine Uhr falsch geht.",
                ),
                fr: words(
                    "Ce lien n’est pas encore valable",
                    "Attendez le début de la réunion et ouvrez de nouveau le lien. Si elle devrait déjà avoir commencé, \
                     signalez à la personne qui l’organise qu’une horloge n’est pas à l’heure.",
                ),
            },
            Self::NotGenuine => InEach {
                en: words(
                    "This link is not genuine",
                    "It may have been cut off on its way. Open the meeting from where you got the link again.",
                ),
                es: words(
                    "Este enlace no es auténtico",
                    "Puede que haya llegado incompleto. Vuelva a abrir la reunión desde donde obtuvo el enlace.",
                ),
                de: words(
                    "Dieser Link ist nicht echt",
                    "Vielleicht wurde er unterwegs abgeschnitten. Öffnen Sie die Besprechung erneut von dort aus, wo \
                     Sie den Link bekommen haben.",
                ),
                fr: words(
                    "Ce lien n’est pas authentique",
                    "Il a peut-être été tronqué en chemin. Ouvrez de nouveau la réunion à partir de l’endroit où vous \
                     avez obtenu le lien.",
                ),
            },
            Self::NoSession => InEach {
                en: words(
                    "Use your join link",
                    "Open the meeting from the site or the message that invited you.",
                ),
                es: words(
                    "Use su enlace de acceso",
                    "Abra la reunión desde el sitio o el mensaje con el que recibió la invitación.",
                ),
                de: words(
                    "Verwenden Sie Ihren Einladungslink",
                    "Öffnen Sie die Besprechung über die Website oder die Nachricht, mit der Sie eingeladen wurden.",
                ),
                fr: words(
                    "Utilisez votre lien d’invitation",
                    "Ouvrez la réunion à partir du site ou du message qui vous y invite.",
                ),
            },
            Self::CookiesBlocked => InEach {
                en: words(
                    "Your browser keeps no cookies for this page",
                    "Open the meeting in a window of its own, or allow cookies for this site and load the page again.",
                ),
                es: words(
                    "Su navegador no guarda cookies para esta página",
                    "Abra la reunión en una ventana propia, o permita las cookies de este sitio y vuelva a cargar la \
                     página.",
                ),
                de: words(
                    "Ihr Browser speichert für diese Seite keine Cookies",
                    "Öffnen Sie die Besprechung in einem eigenen Fenster, oder erlauben Sie Cookies für diese Website \
                     und laden Sie die Seite neu.",
                ),
                fr: words(
                    "Votre navigateur ne conserve pas de cookies pour cette page",
                    "Ouvrez la réunion dans une fenêtre à part, ou autorisez les cookies pour ce site et rechargez la \
                     page.",
                ),
            },
            Self::RoomClosed => InEach {
                en: words(
                    "This meeting has ended",
                    "It can't be joined any more. For another meeting, open that meeting's link.",
                ),
                es: words(
                    "Esta reunión ha terminado",
                    "Ya no es posible entrar. Para otra reunión, abra el enlace de esa reunión.",
                ),
                de: words(
                    "Diese Besprechung ist beendet",
                    "Sie können ihr nicht mehr beitreten. Für eine andere Besprechung öffnen Sie deren Link.",
                ),
                fr: words(
                    "Cette réunion est terminée",
                    "Il n’est plus possible d’y entrer. Pour une autre réunion, ouvrez le lien de celle-ci.",
                ),
            },
            Self::SessionOver => InEach {
                en: words(
                    "This session has lasted its longest time",
                    "Open the meeting from where you got the link again.",
                ),
                es: words(
                    "Esta sesión ha alcanzado su duración máxima",
                    "Vuelva a abrir la reunión desde donde obtuvo el enlace.",
                ),
                de: words(
                    "Diese Sitzung hat ihre Höchstdauer erreicht",
                    "Öffnen Sie die Besprechung erneut von dort aus, wo Sie den Link bekommen haben.",
                ),
                fr: words(
                    "Cette session a atteint sa durée maximale",
                    "Ouvrez de nouveau la réunion à partir de l’endroit où vous avez obtenu le lien.",
                ),
            },
            Self::Left => InEach {
                en: words(
                    "You have left the meeting",
                    "To come back, open the meeting from where you got the link again.",
                ),
                es: words(
                    "Ha salido de la reunión",
                    "Para volver, abra de nuevo la reunión desde donde obtuvo el enlace.",
                ),
                de: words(
                    "Sie haben die Besprechung verlassen",
                    "Um zurückzukehren, öffnen Sie die Besprechung erneut von dort aus, wo Sie den Link bekommen haben.",
                ),
                fr: words(
                    "Vous avez quitté la réunion",
                    "Pour y revenir, ouvrez-la de nouveau à partir de l’endroit où vous avez obtenu le lien.",
                ),
            },
            Self::Switch => InEach {
                en: words(
                    "You are in another meeting already",
                    "Stay in it, or leave it and join by this link. If you did not expect this link, stay.",
                ),
                es: words(
                    "Ya está en otra reunión",
                    "Quédese en ella, o salga de ella y entre con este enlace. Si no esperaba este enlace, quédese.",
                ),
                de: words(
                    "Sie sind schon in einer anderen Besprechung",
                    "Bleiben Sie dort, oder verlassen Sie sie und treten Sie mit diesem Link bei. Wenn Sie diesen Link \
                     nicht erwartet haben, bleiben Sie.",
                ),
                fr: words(
                    "Vous êtes déjà dans une autre réunion",
                    "Restez-y, ou quittez-la et entrez avec ce lien. Si vous n’attendiez pas ce lien, restez.",
                ),
            },
            Self::Leave => InEach {
                en: words(
                    "Leave this meeting?",
                    "If you did not want to leave, stay: a page may have sent you here.",
                ),
                es: words(
                    "¿Salir de esta reunión?",
                    "Si no quería salir, quédese: puede que una página le haya traído aquí.",
                ),
                de: words(
                    "Diese Besprechung verlassen?",
                    "Wenn Sie nicht gehen wollten, bleiben Sie: Eine Seite kann Sie hierher geschickt haben.",
                ),
                fr: words(
                    "Quitter cette réunion ?",
                    "Si vous ne vouliez pas partir, restez : une page a pu vous envoyer ici.",
                ),
            },
            Self::ServerDown => InEach {
                en: words(
                    "The meeting can't be reached right now",
                    "Wait a moment and load the page again.",
                ),
                es: words(
                    "Ahora mismo no se puede acceder a la reunión",
                    "Espere un momento y vuelva a cargar la página.",
                ),
                de: words(
                    "Die Besprechung ist gerade nicht erreichbar",
                    "Warten Sie einen Moment und laden Sie die Seite neu.",
                ),
                fr: words(
                    "La réunion est injoignable pour le moment",
                    "Patientez un instant et rechargez la page.",
                ),
            },
            Self::OverLimit => InEach {
                en: words("Too many attempts", "Wait a little and try again."),
                es: words("Demasiados intentos", "Espere un poco e inténtelo de nuevo."),
                de: words(
                    "Zu viele Versuche",
                    "Warten Sie ein wenig und versuchen Sie es erneut.",
                ),
                fr: words("Trop de tentatives", "Attendez un peu et réessayez."),
            },
            Self::BadDesign => InEach {
                en: words(
                    "This design can't be used",
                    "Tell whoever made the link what is wrong with it:",
                ),
                es: words(
                    "Este diseño no se puede usar",
                    "Indique a quien creó el enlace qué es incorrecto:",
                ),
                de: words(
                    "Diese Gestaltung kann nicht verwendet werden",
                    "Sagen Sie der Person, die den Link erstellt hat, was daran falsch ist:",
                ),
                fr: words(
                    "Cette présentation ne peut pas être utilisée",
                    "Indiquez à la personne qui a créé le lien ce qui est incorrect\u{a0}:",
                ),
            },
            Self::NotFound => InEach {
                en: words(
                    "Nothing here",
                    "Check the address, or open the meeting from its join link.",
                ),
                es: words(
                    "Aquí no hay nada",
                    "Compruebe la dirección o abra la reunión desde su enlace de acceso.",
                ),
                de: words(
                    "Hier ist nichts",
                    "Prüfen Sie die Adresse, oder öffnen Sie die Besprechung über Ihren Einladungslink.",
                ),
                fr: words(
                    "Il n’y a rien ici",
                    "Vérifiez l’adresse, ou ouvrez la réunion à partir de votre lien d’invitation.",
                ),
            },
            Self::NotAllowed => InEach {
                en: words("Not allowed", "Open the meeting from its join link."),
                es: words("No permitido", "Abra la reunión desde su enlace de acceso."),
                de: words(
                    "Nicht erlaubt",
                    "Öffnen Sie die Besprechung über Ihren Einladungslink.",
                ),
                fr: words(
                    "Accès refusé",
                    "Ouvrez la réunion à partir de votre lien d’invitation.",
                ),
            },
            Self::BadRequest => InEach {
                en: words(
                    "This request can't be understood",
                    "Open the meeting from its join link again.",
                ),
                es: words(
                    "No se puede entender esta solicitud",
                    "Vuelva a abrir la reunión desde su enlace de acceso.",
                ),
                de: words(
                    "Diese Anfrage ist nicht zu verstehen",
                    "Öffnen Sie die Besprechung erneut über Ihren Einladungslink.",
                ),
                fr: words(
                    "Cette demande est incompréhensible",
                    "Ouvrez de nouveau la réunion à partir de votre lien d’invitation.",
                ),
            },
            Self::UnusableLink => InEach {
                en: words(
                    "This link can't be used",
                    "Go back to where you got the link and open the meeting from there again.",
                ),
                es: words(
                    "Este enlace no se puede usar",
                    "Vuelva al lugar donde obtuvo el enlace y abra la reunión de nuevo desde allí.",
                ),
                de: words(
                    "Dieser Link kann nicht verwendet werden",
                    "Gehen Sie dorthin zurück, wo Sie den Link bekommen haben, und öffnen Sie die Besprechung von dort \
                     aus erneut.",
                ),
                fr: words(
                    "Ce lien ne peut pas être utilisé",
                    "Retournez là où vous avez obtenu le lien et ouvrez de nouveau la réunion à partir de là.",
                ),
            },
        }
    }
}

/// What stands on buttons, links and in small print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Before a request's name.
    Request,
    /// To `session.login_url`.
    LogIn,
    /// On a page about `Topic::Switch`: before the session that runs.
    Now,
    /// On a page about `Topic::Switch`: before the one of the link.
    ByThisLink,
    /// On a page about `Topic::Switch`: leave all as it is.
    Stay,
    /// On a page about `Topic::Switch`: out of the one meeting and into the other.
    JoinInstead,
    /// On a page about `Topic::Leave`: end the session.
    Leave,
    /// On a page about `Topic::CookiesBlocked`: out of the frame.
    OwnWindow,
}

impl Label {
    /// The label.
    pub fn text(self, language: Language) -> &'static str {
        let each = match self {
            Self::Request => InEach {
                en: "Request",
                es: "Solicitud",
                de: "Anfrage",
                fr: "Demande",
            },
            Self::LogIn => InEach {
                en: "Go to the login page",
                es: "Ir a la página de inicio de sesión",
                de: "Zur Anmeldeseite",
                fr: "Aller à la page de connexion",
            },
            Self::Leave => InEach {
                en: "Leave",
                es: "Salir",
                de: "Verlassen",
                fr: "Quitter",
            },
            Self::Now => InEach {
                en: "Now",
                es: "Ahora",
                de: "Jetzt",
                fr: "Actuellement",
            },
            Self::ByThisLink => InEach {
                en: "By this link",
                es: "Con este enlace",
                de: "Mit diesem Link",
                fr: "Avec ce lien",
            },
            Self::Stay => InEach {
                en: "Stay",
                es: "Quedarse",
                de: "Bleiben",
                fr: "Rester",
            },
            Self::JoinInstead => InEach {
                en: "Leave it and join by this link",
                es: "Salir y entrar con este enlace",
                de: "Verlassen und mit diesem Link beitreten",
                fr: "La quitter et entrer avec ce lien",
            },
            Self::OwnWindow => InEach {
                en: "Open in a window of its own",
                es: "Abrir en una ventana propia",
                de: "In einem eigenen Fenster öffnen",
                fr: "Ouvrir dans une fenêtre à part",
            },
        };
        each.of(language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As users and their helpers know them.
    #[test]
    fn a_reload_and_a_wrong_link_are_told_apart_in_every_language() {
        let titles = |topic: Topic| Language::ALL.map(|language| topic.words(language).title);
        assert_eq!(
            titles(Topic::Expired),
            [
                "This link has expired",
                "Este enlace ha caducado",
                "Dieser Link ist abgelaufen",
                "Ce lien a expiré"
            ]
        );
        assert_eq!(
            titles(Topic::NotGenuine),
            [
                "This link is not genuine",
                "Este enlace no es auténtico",
                "Dieser Link ist nicht echt",
                "Ce lien n’est pas authentique"
            ]
        );
    }

    #[test]
    fn labels_are_in_the_readers_language() {
        let labels = Language::ALL.map(|language| Label::LogIn.text(language));
        assert_eq!(
            labels,
            [
                "Go to the login page",
                "Ir a la página de inicio de sesión",
                "Zur Anmeldeseite",
                "Aller à la page de connexion"
            ]
        );
    }
}
