"""The standard person fields as real instances reported them (facts/marketo-api.md 4.4, recorded November 2021).

511 to 543 are the social fields of an instance that has them (recorded January 2021); filterType facebookId,
twitterId and linkedInId of section 5.2 are among them.

One line a field: id | REST name | display name | data type | length | "ro" when REST may not write it,
"ro+soap" when SOAP may not either | SOAP name.
"""

from __future__ import annotations

STANDARD_FIELDS = """
4|company|Company Name|string|255||Company
5|site|Site|string|255||Site
6|billingStreet|Billing Address|text|||BillingStreet
7|billingCity|Billing City|string|255||BillingCity
8|billingState|Billing State|string|255||BillingState
9|billingCountry|Billing Country|string|255||BillingCountry
10|billingPostalCode|Billing Postal Code|string|255||BillingPostalCode
11|website|Website|url|255||Website
12|mainPhone|Main Phone|string|255||MainPhone
15|annualRevenue|Annual Revenue|currency|||AnnualRevenue
16|numberOfEmployees|Num Employees|integer|||NumberOfEmployees
17|industry|Industry|string|255||Industry
18|sicCode|SIC Code|string|40||SICCode
20|mktoCompanyNotes|Company Notes|text|||MktoCompanyNotes
41|externalCompanyId|External Company Id|string|50||
44|id|Id|integer|||Id
45|mktoName|Full Name|string|255|ro|
46|personType|Person Type|string|50||PersonType
48|mktoIsPartner|Is Partner|boolean|||
49|isLead|Is Lead|boolean|||IsLead
50|mktoIsCustomer|Is Customer|boolean|||
51|isAnonymous|Is Anonymous|boolean|||
52|salutation|Salutation|string|255||Salutation
53|firstName|First Name|string|255||FirstName
54|middleName|Middle Name|string|255||MiddleName
55|lastName|Last Name|string|255||LastName
56|email|Email Address|email|255||Email
57|phone|Phone Number|phone|255||Phone
58|mobilePhone|Mobile Phone Number|phone|255||MobilePhone
59|fax|Fax Number|phone|255||Fax
60|title|Job Title|string|255||Title
61|contactCompany|Contact Company|reference||ro|Contact Company
62|dateOfBirth|Date of Birth|date|||DateofBirth
63|address|Address|text|||Address
64|city|City|string|255||City
65|state|State|string|255||State
66|country|Country|string|255||Country
67|postalCode|Postal Code|string|255||PostalCode
68|personTimeZone|Person Time Zone|string|255|ro|
70|originalSourceType|Original Source Type|string|255|ro|OriginalSourceType
71|originalSourceInfo|Original Source Info|string|2000|ro|OriginalSourceInfo
72|registrationSourceType|Registration Source Type|string|255||RegistrationSourceType
73|registrationSourceInfo|Registration Source Info|string|2000||RegistrationSourceInfo
74|originalSearchEngine|Original Search Engine|string|255|ro|OriginalSearchEngine
75|originalSearchPhrase|Original Search Phrase|string|255|ro|OriginalSearchPhrase
76|originalReferrer|Original Referrer|url|255|ro|OriginalReferrer
77|emailInvalid|Email Invalid|boolean|||EmailInvalid
78|emailInvalidCause|Email Invalid Cause|string|255||EmailInvalidCause
79|unsubscribed|Unsubscribed|boolean|||Unsubscribed
81|unsubscribedReason|Unsubscribed Reason|string|2000||UnsubscribedReason
82|doNotCall|Do Not Call|boolean|||DoNotCall
83|mktoDoNotCallCause|Do Not Call Cause|string|255||
84|doNotCallReason|Do Not Call Reason|string|2000||DoNotCallReason
85|marketingSuspended|Marketing Suspended|boolean|||
86|marketingSuspendedCause|Marketing Suspended Cause|string|255||
87|blackListed|Black Listed|boolean|||
88|blackListedCause|Black Listed Cause|string|255||
89|mktoPersonNotes|Person Notes|text|||MktoPersonNotes
103|anonymousIP|Anonymous IP|string|255||AnonymousIP
104|inferredCompany|Inferred Company|string|255|ro|InferredCompany
105|inferredCountry|Inferred Country|string|255|ro|InferredCountry
106|inferredCity|Inferred City|string|255|ro|
107|inferredStateRegion|Inferred State Region|string|255|ro|
108|inferredPostalCode|Inferred Postal Code|string|255|ro|
109|inferredMetropolitanArea|Inferred Metropolitan Area|string|255|ro|
110|inferredPhoneAreaCode|Inferred Phone Area Code|string|255|ro|
123|emailSuspended|Email Suspended|boolean|||
124|emailSuspendedCause|Email Suspended Cause|string|255||
125|emailSuspendedAt|Email Suspended At|datetime|||
126|department|Department|string|255||Department
130|createdAt|Created At|datetime||ro|
131|updatedAt|Updated At|datetime||ro|
136|cookies|Cookies|string|255||
137|externalSalesPersonId|External Sales Person Id|string|50||
141|leadPerson|Lead Person|reference||ro|Lead Person
143|leadRole|Role|string|50||LeadRole
144|leadSource|Lead Source|string|255||LeadSource
145|leadStatus|Lead Status|string|255||LeadStatus
146|leadScore|Lead Score|integer|||LeadScore
147|urgency|Urgency|float|||
148|priority|Priority|integer|||
149|relativeScore|Relative Score|integer|||
150|relativeUrgency|Relative Urgency|integer|||
160|rating|Lead Rating|string|255||Rating
181|personPrimaryLeadInterest|Primary Lead Interest|reference||ro|Person Primary Lead Interest
479|leadPartitionId|Lead Partition Id|reference|||Lead Partition ID
485|leadRevenueCycleModelId|Lead Revenue Cycle Model ID|reference|||Lead Revenue Cycle Model ID
487|leadRevenueStageId|Lead Revenue Stage ID|reference|||Lead Revenue Stage ID
511|gender|Marketo Social Gender|string|255||MarketoSocialGender
512|facebookDisplayName|Marketo Social Facebook Display Name|string|255||MarketoSocialFacebookDisplayName
513|twitterDisplayName|Marketo Social Twitter Display Name|string|255||MarketoSocialTwitterDisplayName
514|linkedInDisplayName|Marketo Social LinkedIn Display Name|string|255||MarketoSocialLinkedInDisplayName
516|facebookProfileURL|Marketo Social Facebook Profile URL|string|2000||MarketoSocialFacebookProfileURL
517|twitterProfileURL|Marketo Social Twitter Profile URL|string|2000||MarketoSocialTwitterProfileURL
518|linkedInProfileURL|Marketo Social LinkedIn Profile URL|string|2000||MarketoSocialLinkedInProfileURL
520|facebookPhotoURL|Marketo Social Facebook Photo URL|string|2000||MarketoSocialFacebookPhotoURL
521|twitterPhotoURL|Marketo Social Twitter Photo URL|string|2000||MarketoSocialTwitterPhotoURL
522|linkedInPhotoURL|Marketo Social LinkedIn Photo URL|string|2000||MarketoSocialLinkedInPhotoURL
524|facebookReach|Marketo Social Facebook Reach|integer|||MarketoSocialFacebookReach
525|twitterReach|Marketo Social Twitter Reach|integer|||MarketoSocialTwitterReach
526|linkedInReach|Marketo Social LinkedIn Reach|integer|||MarketoSocialLinkedInReach
528|facebookReferredVisits|Marketo Social Facebook Referred Visits|integer|||MarketoSocialFacebookReferredVisits
529|twitterReferredVisits|Marketo Social Twitter Referred Visits|integer|||MarketoSocialTwitterReferredVisits
530|linkedInReferredVisits|Marketo Social LinkedIn Referred Visits|integer|||MarketoSocialLinkedInReferredVisits
532|totalReferredVisits|Marketo Social Total Referred Visits|integer||ro+soap|MarketoSocialTotalReferredVisits
533|facebookReferredEnrollments|Marketo Social Facebook Referred Enrollments|integer|||MarketoSocialFacebookReferredEnrollments
534|twitterReferredEnrollments|Marketo Social Twitter Referred Enrollments|integer|||MarketoSocialTwitterReferredEnrollments
535|linkedInReferredEnrollments|Marketo Social LinkedIn Referred Enrollments|integer|||MarketoSocialLinkedInReferredEnrollments
537|totalReferredEnrollments|Marketo Social Total Referred Enrollments|integer||ro+soap|MarketoSocialTotalReferredEnrollments
538|lastReferredVisit|Marketo Social Last Referred Visit|datetime|||MarketoSocialLastReferredVisit
539|lastReferredEnrollment|Marketo Social Last Referred Enrollment|datetime|||MarketoSocialLastReferredEnrollment
540|syndicationId|Marketo Social Syndication Id|string|2000||MarketoSocialSyndicationId
541|facebookId|Marketo Social Facebook Id|string|2000||MarketoSocialFacebookId
542|twitterId|Marketo Social Twitter Id|string|2000||MarketoSocialTwitterId
543|linkedInId|Marketo Social LinkedIn Id|string|2000||MarketoSocialLinkedInId
625|acquisitionProgramId|Acquisition Program|reference|||Acquisition Program ID
627|mktoAcquisitionDate|Acquisition Date|datetime|||
830|ecids|ECIDs|string|255|ro|
"""  # noqa: E501

FIRST_CUSTOM_ID = 901
"""Custom fields follow the standard ones; the gap leaves room for features that add fields of their own."""
